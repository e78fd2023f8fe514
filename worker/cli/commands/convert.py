"""`comfy-worker convert`: the prompt of what ComfyUI's editor saved, or of a picture that carries its workflow."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

FAILED = 1


def command(
    file: Annotated[Path, typer.Argument(help="what the editor saved, or a file of ComfyUI's that carries it")],
    *,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="GET /object_info of the ComfyUI it is for; several are merged"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="do not list what a job would repair")] = False,
) -> None:
    """Turn what the editor saved into an API prompt.

    It is the one that the editor would send, with the seeds that were saved.
    Without a catalog the nodes of ComfyUI 0.33.0 and of five packs are known.
    """
    from worker.cli.client.workflow_file import catalog_of, read_bytes
    from worker.cli.output.changes import show_changes
    from worker.cli.output.screen import screen
    from worker.dialects.base import prompt_of
    from worker.errors import WorkerError
    from worker.workflow.editor import Conversion, convert, is_ui, stringify
    from worker.workflow.embedded_metadata import extract_workflow
    from worker.workflow.repairs import repair

    data, known = read_bytes(file), catalog_of(catalog or ())
    notes = screen(stderr=True)
    try:
        workflow = extract_workflow(data)
        found = convert(workflow, known) if is_ui(workflow) else Conversion(prompt_of(workflow))
        text = stringify(found.prompt, indent=2)
    except WorkerError as error:
        from worker.cli.output.failure import Failure

        Failure(error.code, error.message, error.details).show(notes)
        raise typer.Exit(FAILED) from None
    for detail in found.warnings:
        notes.print(f"node {detail.node_id} ({detail.node_title}): {detail.message}", highlight=False, markup=False)
    if not strict:
        show_changes(notes, {"repairs": [asdict(one) for one in repair(found.prompt, known).repairs]})
    typer.echo(text)
