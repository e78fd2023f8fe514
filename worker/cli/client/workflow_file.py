"""Workflow files of every format, and the requests that `--set` and `--input` make of them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from worker.cli.usage import UsageFailure
from worker.engine.catalogs import read_catalog
from worker.errors import CannotConvert, ParamsError, PromptError, StartupError, WorkerError
from worker.intake.request_cost import prompt_in
from worker.settings import Settings
from worker.workflow.assign import set_input
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.editor import Conversion, convert, is_ui
from worker.workflow.embedded_metadata import extract_workflow, read_workflow_file
from worker.workflow.exports import request_files
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, parse_prompt, unwrap
from worker.workflow.repairs.seeds import draw_seeds

if TYPE_CHECKING:
    from worker.workflow.templates.template import Template

MAX_BYTES = 512 * 1024 * 1024
"""Bytes that are read of a file. A larger one is a video, whose metadata is at the beginning."""


def read_request(
    path: Path, assignments: Sequence[str] = (), inputs: Sequence[str] = (), *, keep_seeds: bool = False
) -> dict[str, Any]:
    """Return the body of a native request, without `output_format`. Raises typer.BadParameter for a wrong argument.

    `assignments` are `NODE.INPUT=VALUE` with a node's id or title, `inputs` are `NAME=FILE` or `NAME=FOLDER`.
    """
    data = read_bytes(path)  # once: the file may be a pipe
    request = request_of(_workflow_in(data, path), assignments, inputs, keep_seeds=keep_seeds)
    # A request that was saved as a file, as RunPod's test_input.json, has input files of its own.
    return {**request, "inputs": {**request_files(read_workflow_file(data)), **request["inputs"]}}


def template_request(template: Template, params: Mapping[str, Any]) -> tuple[Prompt, Mapping[str, Json]]:
    """Return the prompt of a template with these parameters, and the values of all its parameters.

    Raises typer.BadParameter when a value is not valid.
    """
    from worker.cli.client.template_options import read_values
    from worker.workflow.templates.fill import fill

    try:
        filled = fill(template, read_values(template, params), secrets.randbelow)
    except ParamsError as error:
        message = " ".join(f"--{problem.path} {problem.message}. {problem.cure}" for problem in error.problems)
        step = f"Run `comfy-worker run {template.name} --help` to see the template's parameters."
        raise UsageFailure(message, step) from error
    return filled.prompt, filled.values


def request_of(
    workflow: Any,  # noqa: ANN401 - JSON
    assignments: Sequence[str],
    inputs: Sequence[str],
    *,
    keep_seeds: bool = False,
) -> dict[str, Any]:
    """Return the body of a native request for this workflow. Raises typer.BadParameter."""
    if assignments:
        workflow = _assign(workflow, assignments, keep_seeds=keep_seeds)
    files: dict[str, str] = {}
    for text in inputs:
        files.update(_input_files(text))
    return {"workflow": workflow, "inputs": files}


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, at most MAX_BYTES. Raises typer.BadParameter when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {(error.strerror or str(error)).lower()}") from error


def catalog_of(paths: Sequence[Path]) -> Catalog:
    """Return the node classes of these files, which are responses of `GET /object_info`.

    Without a file the classes are those of WORKER_CATALOG, or else the bundled ones. Raises typer.BadParameter when a
    file is not a catalog, and StartupError when WORKER_CATALOG's is not.
    """
    if not paths:
        configured = Settings.from_env().engine.catalog
        return read_catalog(configured) if configured else bundled_catalog()
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            merged |= read_catalog(path).to_object_info()
        except StartupError as error:
            raise typer.BadParameter(str(error)) from error
    return Catalog.from_object_info(merged)


def read_prompt(path: Path) -> Prompt:
    """Return the prompt in a file of any format. Raises typer.BadParameter."""
    try:
        return prompt_in(read_workflow(path))
    except CannotConvert as error:
        raise typer.BadParameter(f"{path}: {error.message}") from error
    except PromptError as error:
        raise typer.BadParameter(f"{path}: {error.message} {error.suggestion or ''}".rstrip()) from error


def read_workflow(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the workflow in a file, in the API format or the editor's. Raises typer.BadParameter."""
    return _workflow_in(read_bytes(path), path)


def _workflow_in(data: bytes, path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the workflow in a file's content. Raises typer.BadParameter, which names the file.

    For a saved request that names a template, this is the template's prompt with the parameters of the request.
    """
    try:
        content = read_workflow_file(data)
        if isinstance(content, dict) and isinstance(content.get("template"), str):
            return _template_prompt(content, path)
        return extract_workflow(data)
    except CannotConvert as error:
        raise typer.BadParameter(f"{path}: {error.message}") from error


def _template_prompt(request: Mapping[str, Any], path: Path) -> Prompt:
    """Return the prompt of a request's template. Raises UsageFailure."""
    from worker.dialects.base import fill_template
    from worker.workflow.templates.library import read_library

    name, params, files = request["template"], request.get("params") or {}, request.get("inputs") or {}
    try:
        return fill_template(read_library(Settings.from_env().templates), name, params, files).prompt
    except WorkerError as error:
        step = f"Run `comfy-worker templates show {name}` to see the parameters of the template."
        raise UsageFailure(f"{path}: {error.message}", step) from error


def _assign(workflow: object, assignments: Sequence[str], *, keep_seeds: bool) -> dict[str, Any]:
    """Return the prompt of a workflow with its assignments, and with new seeds unless `keep_seeds`.

    Prints the new seeds. The worker gets a prompt without the editor's marks, so that it cannot draw the seeds itself.
    Raises typer.BadParameter.
    """
    try:
        unwrapped = unwrap(workflow)
        conversion = convert(unwrapped, bundled_catalog()) if is_ui(unwrapped) else Conversion(parse_prompt(unwrapped))
        prompt, seeds = draw_seeds(conversion.prompt, () if keep_seeds else conversion.seeds, secrets.SystemRandom())
        for text in assignments:
            target, equals, value = text.partition("=")
            if not equals:
                raise typer.BadParameter(f"--set {text}: write it as NODE.INPUT=VALUE")
            prompt = set_input(prompt, target, value)
    except CannotConvert as error:
        step = "Convert the file with `comfy-worker convert FILE --catalog object_info.json`, and run the result."
        raise UsageFailure(f"--set: {error.message}", step) from error
    except PromptError as error:
        hint = f" {error.suggestion}" if error.suggestion else ""
        raise typer.BadParameter(f"--set: {error.message}{hint}") from error
    for seed in seeds:
        # An assignment may have replaced the seed.
        if prompt[seed.node_id]["inputs"].get(seed.input) == seed.value:
            typer.echo(f"seed: node {seed.node_id}, {seed.input} = {seed.value}", err=True)
    return dict(prompt)


def _input_files(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the base64 content of an `--input`'s file, or of every file in its folder.

    Hidden files are skipped. Raises typer.BadParameter.
    """
    name, equals, path = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--input {text}: write it as NAME=FILE, with the name that the workflow uses")
    root = Path(path)
    try:
        if not root.is_dir():
            yield name, base64.b64encode(root.read_bytes()).decode()
            return
        for file in sorted(root.rglob("*")):
            relative = file.relative_to(root)
            is_hidden = any(part.startswith(".") for part in relative.parts)
            if file.is_file() and not is_hidden:
                yield f"{name}/{relative.as_posix()}", base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--input {text}: {(error.strerror or str(error)).lower()}") from error
