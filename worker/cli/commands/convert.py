"""`comfy-worker convert`: the API prompt of a file that ComfyUI's editor or ComfyUI saved."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.options import CatalogFiles

if TYPE_CHECKING:
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.editor import Conversion

EXAMPLES = (
    "comfy-worker convert drawn.json > prompt.json",
    "comfy-worker convert ComfyUI_00001_.png --catalog object_info.json",
)


def command(
    file: Annotated[Path, typer.Argument(help="A workflow of the editor, or a ComfyUI output that contains it.")],
    *,
    catalog: CatalogFiles = None,
    strict: Annotated[bool, typer.Option("--strict", help="Do not list the repairs that a job makes.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the prompt, the warnings and the repairs.")
    ] = False,
) -> None:
    """Convert an editor workflow to an API prompt.

    Prints the prompt that the editor would send, with the seeds that were saved. Without --catalog the node classes are
    those of ComfyUI 0.33.0 and of five node packs.
    """
    from worker.cli.client.workflow_file import catalog_of
    from worker.cli.output.changes import show_changes
    from worker.cli.output.screen import screen
    from worker.workflow.editor import stringify
    from worker.workflow.repairs import repair

    classes = catalog_of(catalog or ())
    conversion, text = _convert(file, classes)
    warnings = [asdict(warning) for warning in conversion.warnings]
    repairs = [] if strict else [asdict(change) for change in repair(conversion.prompt, classes).repairs]
    if as_json:
        body = {"prompt": conversion.prompt, "warnings": _rows(warnings), "repairs": _rows(repairs)}
        typer.echo(stringify(body, indent=2))
        return
    show_changes(screen(stderr=True), {"warnings": warnings, "repairs": repairs})
    typer.echo(text)


def _convert(file: Path, classes: Catalog) -> tuple[Conversion, str]:
    """Return the conversion of a file, and its prompt as JSON text. Raises Failure when the file has no workflow.

    A file that has an API prompt already is not converted.
    """
    from worker.cli.client.workflow_file import read_bytes
    from worker.cli.output.failure import Failure
    from worker.dialects.base import prompt_of
    from worker.errors import WorkerError
    from worker.workflow.editor import Conversion, convert, is_ui, stringify
    from worker.workflow.embedded_metadata import extract_workflow

    data = read_bytes(file)
    try:
        workflow = extract_workflow(data)
        conversion = convert(workflow, classes) if is_ui(workflow) else Conversion(prompt_of(workflow))
        return conversion, stringify(conversion.prompt, indent=2)
    except WorkerError as error:
        raise Failure.of(error) from error


def _rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the warnings or repairs without the fields that are None."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
