"""A workflow file as the body of a request: changed by `--set`, with the files that `--input` names."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import typer

from worker.graph.assign import set_input
from worker.graph.catalog import Catalog
from worker.graph.prompt import PromptError, parse_prompt


def read_request(path: Path, assignments: Sequence[str] = (), inputs: Sequence[str] = ()) -> dict[str, Any]:
    """The native body, without an `output_format`. Raises typer.BadParameter for whatever the caller has to mend.

    `assignments` are `NODE.INPUT=VALUE` with a node's id or title, `inputs` are `NAME=FILE`.
    """
    workflow = read_json(path)
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
