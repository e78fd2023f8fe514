"""A workflow file as the body of a request: changed by `--set`, with the files that `--input` names."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from worker.graph.assign import set_input
from worker.graph.catalog import Catalog
from worker.graph.json_value import Json
from worker.graph.prompt import Prompt, PromptError, parse_prompt

if TYPE_CHECKING:
    from worker.graph.template import Template


def read_request(path: Path, assignments: Sequence[str] = (), inputs: Sequence[str] = ()) -> dict[str, Any]:
    """The native body, without an `output_format`. Raises typer.BadParameter for whatever the caller has to mend.

    `assignments` are `NODE.INPUT=VALUE` with a node's id or title, `inputs` are `NAME=FILE`.
    """
    return request_of(read_json(path), assignments, inputs)


def template_request(template: Template, given: Mapping[str, Any]) -> tuple[Prompt, Mapping[str, Json]]:
    """The prompt that a template's options make, and the values that were used. Raises typer.BadParameter."""
    from worker.cli.options import read_values
    from worker.graph.template_fill import ParamsError, fill

    try:
        filled = fill(template, read_values(template, given), secrets.randbelow)
    except ParamsError as error:
        told = " ".join(f"--{problem.path} {problem.message}. {problem.cure}" for problem in error.problems)
        raise typer.BadParameter(told) from error
    return filled.prompt, filled.values


def request_of(workflow: Any, assignments: Sequence[str], inputs: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The native body of a workflow that is here. Raises typer.BadParameter."""
    if assignments:
        workflow = _assign(workflow, assignments)
    return {"workflow": workflow, "inputs": dict(_file(text) for text in inputs)}


def read_catalog(path: Path | None) -> Catalog:
    """From what `GET /object_info` answered, else the bundled one. Raises typer.BadParameter."""
    if path is None:
        return Catalog.bundled()
    found = read_json(path)
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} is no answer of GET /object_info")
    return Catalog.from_object_info(found)


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Raises typer.BadParameter."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error


def _assign(workflow: object, assignments: Sequence[str]) -> dict[str, Any]:
    try:
        prompt = parse_prompt(workflow)
        for text in assignments:
            target, equals, value = text.partition("=")
            if not equals:
                raise typer.BadParameter(f"--set {text}: write NODE.INPUT=VALUE")
            prompt = set_input(prompt, target, value)
    except PromptError as error:
        hint = f" {error.suggestion}" if error.suggestion else ""
        raise typer.BadParameter(f"--set: {error.message}{hint}") from error
    return dict(prompt)


def _file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--input {text}: write NAME=FILE, with the name that the workflow uses")
    try:
        return name, base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--input {text}: {(error.strerror or str(error)).lower()}") from error
