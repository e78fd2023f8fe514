"""`comfy-worker run`: one workflow, from a file or by a template's name; its outputs into a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.errors import StartupError

if TYPE_CHECKING:
    from worker.cli.client.follow import Order
    from worker.workflow.templates.template import Library, Template

NODE_INPUT = "NODE.INPUT=VALUE"


def command(  # noqa: PLR0913 - one parameter an option
    workflow: Annotated[str, typer.Argument(help="a workflow, in a file of any form, or a template's name")],
    *,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar=NODE_INPUT, help="change an input; NODE is an id or a title"),
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=FILE", help="send a file that the workflow names")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the outputs")] = Path("out"),
    url: Annotated[str | None, typer.Option(help="a running worker; without it one is started for this job")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="WORKER_TOKEN", help="one of the worker's WORKER_TOKENS, where it has any")
    ] = None,
    vast_endpoint: Annotated[str | None, typer.Option(help="a Vast endpoint by name; VAST_API_KEY opens it")] = None,
    vast_url: Annotated[str | None, typer.Option(help="the stand-in that `serve --platform vast-local` prints")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="repair nothing, draw no seed")] = False,
    keep_seeds: Annotated[bool, typer.Option("--keep-seeds", help="run the seeds that are in the workflow")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run one workflow, watch it, save what it makes.

    A template's parameters are options: `comfy-worker run NAME --help` shows them.
    Ctrl-C takes the job out of the engine.
    """
    _run(
        RunOptions(workflow, assignments, inputs, out, url, token, vast_endpoint, vast_url, strict, keep_seeds, as_json)
    )


def command_for(arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with a template's parameters as options where the arguments name one. Raises StartupError."""
    first = next((argument for argument in arguments if not argument.startswith("-")), "")
    if first and Path(first).is_file():
        return command  # no library has to be read
    from worker.cli.client.template_options import named_template, with_options
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    library = read_library(Settings.from_env().templates)
    name = named_template(arguments, library)
    if name is None:
        _check_name(arguments, library)
        return command
    template = library[name]
    return with_options(command, template, lambda params, given: _run(RunOptions(**given), template, params))


def _check_name(arguments: Sequence[str], library: Library) -> None:
    """Raises StartupError for a first argument that is neither a file nor a template but nearly one."""
    from worker.workflow.nearest import did_you_mean

    first = next(iter(arguments), "-")
    hint = None if first.startswith("-") or Path(first).exists() else did_you_mean(first, library)
    if hint:
        raise StartupError(f"{first} is neither a file nor a template. {hint}")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says, by the names of the command's parameters."""

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
        """Fields of the request; only those that were asked for, so that a former worker takes the others."""
        asked = {"strict": self.strict, "keep_seeds": self.keep_seeds}
        return {name: True for name, wanted in asked.items() if wanted}


def _run(asked: RunOptions, template: Template | None = None, params: Mapping[str, Any] | None = None) -> None:
    if asked.url and asked.vast_endpoint:
        raise typer.BadParameter("--url and --vast-endpoint exclude each other")
    from worker.cli.client.connect import Where
    from worker.cli.client.follow import carry_out

    order = _order(asked, template, params or {})
    where = Where(asked.url, asked.token, asked.vast_endpoint, asked.vast_url)
    raise typer.Exit(asyncio.run(carry_out(order, where)))


def _order(asked: RunOptions, template: Template | None, params: Mapping[str, Any]) -> Order:
    """A template is filled here, so that a worker without it does as well. Raises typer.BadParameter."""
    from worker.cli.client.follow import Order
    from worker.cli.client.workflow_file import read_request, request_of, template_request

    assignments, inputs = asked.assignments or (), asked.inputs or ()
    if template is None:
        request = read_request(Path(asked.workflow), assignments, inputs, keep_seeds=bool(asked.fields)) | asked.fields
        return Order(request, Path(asked.workflow).name, asked.out, asked.as_json)
    prompt, used = template_request(template, params)
    request = request_of(prompt, assignments, inputs) | asked.fields
    return Order(request, template.name, asked.out, asked.as_json, used)
