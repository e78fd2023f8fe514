"""`comfy-worker run`: one workflow, from a file or from a template, with its outputs saved in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.argument_completion import template_names
from worker.cli.options import Json, Token
from worker.cli.usage import UsageFailure
from worker.settings import environment

if TYPE_CHECKING:
    from worker.cli.client.follow import RunRequest
    from worker.workflow.templates.template import Library, Template

NODE_INPUT = "NODE.INPUT=VALUE"
LIST_TEMPLATES = "Run `comfy-worker templates` to list the templates."
EXAMPLES = (
    "comfy-worker run smoke-resize",
    "comfy-worker run flux-schnell --prompt 'a harbour at dawn' --width 1024",
    "comfy-worker run workflow.json --set 3.seed=42 --input photo.png=mine.png",
    "comfy-worker run workflow.json --url http://127.0.0.1:18288 --json",
    "comfy-worker run sdxl --prompt 'a harbour' --vast-endpoint comfy",
)


def command(  # noqa: PLR0913 - one parameter an option
    workflow: Annotated[
        str,
        typer.Argument(help="A workflow file of any format, or the name of a template.", autocompletion=template_names),
    ],
    *,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar=NODE_INPUT, help="Set an input. NODE is an id or a title. Repeatable."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=FILE", help="Send a file. NAME is its name in the workflow. Repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the outputs.")] = Path("out"),
    url: Annotated[
        str | None, typer.Option(help="URL of a running worker. Without it a worker is started for this job.")
    ] = None,
    token: Token = None,
    vast_endpoint: Annotated[
        str | None, typer.Option(help="Name of a Vast endpoint. Its API key is in VAST_API_KEY.")
    ] = None,
    vast_url: Annotated[
        str | None, typer.Option(help="URL of a local copy of Vast, which `serve --platform vast-local` prints.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Repair nothing and draw no seeds.")] = False,
    keep_seeds: Annotated[bool, typer.Option("--keep-seeds", help="Use the seeds that the workflow has.")] = False,
    as_json: Json = False,
) -> None:
    """Run one workflow and save its outputs.

    A template's parameters are options: see `comfy-worker run NAME --help`. Ctrl-C cancels the job.
    """
    _run(
        RunOptions(workflow, assignments, inputs, out, url, token, vast_endpoint, vast_url, strict, keep_seeds, as_json)
    )


def command_for(arguments: Sequence[str]) -> Callable[..., None]:
    """Return the command. If the arguments name a template, its parameters are options.

    Raises StartupError when a template cannot be read, and UsageFailure for a misspelt name of a template.
    """
    first = next((argument for argument in arguments if not argument.startswith("-")), "")
    if first and Path(first).is_file():
        return command  # the library of templates is not needed, and takes time to read
    from worker.cli.client.template_options import named_template, with_options
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    library = read_library(Settings.from_env().templates)
    name = named_template(arguments, library)
    if name is None:
        _check_name(arguments, library)
        return command
    template = library[name]
    return with_options(command, template, lambda params, options: _run(RunOptions(**options), template, params))


def _check_name(arguments: Sequence[str], library: Library) -> None:
    """Raise UsageFailure if the first argument is not a file and resembles the name of a template.

    Any other argument is left to the command, which reports a file that does not exist.
    """
    from worker.workflow.nearest import did_you_mean

    first = next(iter(arguments), "-")
    suggestion = None if first.startswith("-") or Path(first).exists() else did_you_mean(first, library)
    if suggestion:
        raise UsageFailure(f"{first} is neither a file nor a template. {suggestion}", LIST_TEMPLATES)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The values of the command line, by the names of the command's parameters."""

    workflow: str
    assignments: Sequence[str] | None
    inputs: Sequence[str] | None
    out: Path
    url: str | None
    token: str | None
    vast_endpoint: str | None
    vast_url: str | None
    strict: bool
    keep_seeds: bool
    as_json: bool

    @property
    def fields(self) -> dict[str, bool]:
        """The fields of a request for the options that are set. An older worker rejects these fields, even if false."""
        fields = {"strict": self.strict, "keep_seeds": self.keep_seeds}
        return {name: True for name, is_set in fields.items() if is_set}


def _run(options: RunOptions, template: Template | None = None, params: Mapping[str, Any] | None = None) -> None:
    """Run the workflow, or the template with these parameters, and exit. Raises typer.BadParameter and Failure."""
    if options.url and options.vast_endpoint:
        raise typer.BadParameter("--url and --vast-endpoint cannot be combined: each names the worker to use")
    if options.vast_endpoint and not environment().get("VAST_API_KEY"):
        from worker.cli.output.failure import Failure

        raise Failure("key_missing", "VAST_API_KEY is not set: --vast-endpoint needs the key of your Vast account")
    from worker.cli.client.connect import RunTarget
    from worker.cli.client.follow import run_job

    request = _request(options, template, params or {})
    target = RunTarget(options.url, options.token, options.vast_endpoint, options.vast_url)
    raise typer.Exit(asyncio.run(run_job(request, target)))


def _request(options: RunOptions, template: Template | None, params: Mapping[str, Any]) -> RunRequest:
    """Return the request. A template is filled here, so that the worker need not have it.

    Raises typer.BadParameter.
    """
    from worker.cli.client.follow import RunRequest
    from worker.cli.client.workflow_file import read_request, request_of, template_request

    assignments, inputs = options.assignments or (), options.inputs or ()
    if template is None:
        path, fields = Path(options.workflow), options.fields
        body = read_request(path, assignments, inputs, keep_seeds=bool(fields)) | fields
        return RunRequest(body, path.name, options.out, options.as_json)
    prompt, values = template_request(template, params)
    body = request_of(prompt, assignments, inputs) | options.fields
    return RunRequest(body, template.name, options.out, options.as_json, values)
