"""A workflow file, in any of its forms, as the body of a request: with `--set` applied, and the files of `--input`."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from worker.engine.catalogs import read_catalog
from worker.errors import CannotConvert, ParamsError, PromptError, StartupError
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

MOST_READ = 512 * 1024 * 1024


def read_request(
    path: Path, assignments: Sequence[str] = (), inputs: Sequence[str] = (), *, keep_seeds: bool = False
) -> dict[str, Any]:
    """The native body, without an `output_format`. Raises typer.BadParameter for whatever the caller has to mend.

    `assignments` are `NODE.INPUT=VALUE` with a node's id or title, `inputs` are `NAME=FILE` or `NAME=FOLDER`.
    """
    request = request_of(read_workflow(path), assignments, inputs, keep_seeds=keep_seeds)
    return {**request, "inputs": {**_files_of(path), **request["inputs"]}}


def template_request(template: Template, given: Mapping[str, Any]) -> tuple[Prompt, Mapping[str, Json]]:
    """The prompt that a template's options make, and the values that were used. Raises typer.BadParameter."""
    from worker.cli.client.template_options import read_values
    from worker.workflow.templates.fill import fill

    try:
        filled = fill(template, read_values(template, given), secrets.randbelow)
    except ParamsError as error:
        told = " ".join(f"--{problem.path} {problem.message}. {problem.cure}" for problem in error.problems)
        raise typer.BadParameter(told) from error
    return filled.prompt, filled.values


def request_of(
    workflow: Any,  # noqa: ANN401 - JSON
    assignments: Sequence[str],
    inputs: Sequence[str],
    *,
    keep_seeds: bool = False,
) -> dict[str, Any]:
    """The native body of a workflow that is here. Raises typer.BadParameter."""
    if assignments:
        workflow = _assign(workflow, assignments, keep_seeds=keep_seeds)
    return {"workflow": workflow, "inputs": dict(file for text in inputs for file in _files(text))}


def read_bytes(path: Path) -> bytes:
    """The file, of a very large one the beginning, where its metadata is. Raises typer.BadParameter."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_READ)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {(error.strerror or str(error)).lower()}") from error


def catalog_of(paths: Sequence[Path]) -> Catalog:
    """What these answers of `GET /object_info` say together; without any that of WORKER_CATALOG, else the bundled one.

    Raises typer.BadParameter, StartupError.
    """
    if not paths:
        kept = Settings.from_env().engine.catalog
        return read_catalog(kept) if kept else bundled_catalog()
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            merged |= read_catalog(path).to_object_info()
        except StartupError as error:
            raise typer.BadParameter(str(error)) from error
    return Catalog.from_object_info(merged)


def prompt_in(workflow: object) -> Prompt:
    """The prompt of a workflow in either format, by the bundled catalog. Raises PromptError, CannotConvert."""
    found = unwrap(workflow)
    return convert(found, bundled_catalog()).prompt if is_ui(found) else parse_prompt(found)


def read_prompt(path: Path) -> Prompt:
    """The prompt in a file of any form. Raises typer.BadParameter."""
    try:
        return prompt_in(read_workflow(path))
    except CannotConvert as error:
        raise typer.BadParameter(f"{path}: {error.message}") from error
    except PromptError as error:
        raise typer.BadParameter(f"{path}: {error.message} {error.suggestion or ''}".rstrip()) from error


def read_workflow(path: Path) -> Any:  # noqa: ANN401 - JSON
    """What a file has of a workflow, in either format. Raises typer.BadParameter."""
    try:
        return extract_workflow(read_bytes(path))
    except CannotConvert as error:
        raise typer.BadParameter(f"{path}: {error.message}") from error


def _files_of(path: Path) -> dict[str, Any]:
    """Return the files in a request that was saved as a file, as RunPod's `test_input.json`."""
    return request_files(read_workflow_file(read_bytes(path)))


def _assign(workflow: object, assignments: Sequence[str], *, keep_seeds: bool) -> dict[str, Any]:
    """The prompt with its assignments. Its worker never sees the editor's file, so that seeds are drawn here."""
    try:
        found = unwrap(workflow)
        conversion = convert(found, bundled_catalog()) if is_ui(found) else Conversion(parse_prompt(found))
        prompt, seeds = draw_seeds(conversion.prompt, () if keep_seeds else conversion.seeds, secrets.SystemRandom())
        for text in assignments:
            target, equals, value = text.partition("=")
            if not equals:
                raise typer.BadParameter(f"--set {text}: write NODE.INPUT=VALUE")
            prompt = set_input(prompt, target, value)
    except CannotConvert as error:
        raise typer.BadParameter(f"--set: {error.message}; `comfy-worker convert` takes a --catalog") from error
    except PromptError as error:
        hint = f" {error.suggestion}" if error.suggestion else ""
        raise typer.BadParameter(f"--set: {error.message}{hint}") from error
    for seed in seeds:
        if prompt[seed.node_id]["inputs"].get(seed.input) == seed.value:
            typer.echo(f"seed: node {seed.node_id}, {seed.input} = {seed.value}", err=True)
    return dict(prompt)


def _files(text: str) -> Iterator[tuple[str, str]]:
    """Yield the file of an `--input`, or every file of a folder, below its name."""
    name, equals, path = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--input {text}: write NAME=FILE, with the name that the workflow uses")
    root = Path(path)
    try:
        if not root.is_dir():
            yield name, base64.b64encode(root.read_bytes()).decode()
            return
        for file in sorted(root.rglob("*")):
            inside = file.relative_to(root)
            if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield f"{name}/{inside.as_posix()}", base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--input {text}: {(error.strerror or str(error)).lower()}") from error
