"""`comfy-worker templates new`: a template for a workflow, to be read over and kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    workflow: Annotated[Path, typer.Argument(help="a workflow, in a file of any form")],
    *,
    write: Annotated[bool, typer.Option("--write", help="write it beside the workflow, as NAME.toml")] = False,
) -> None:
    """Propose the template of any workflow.

    A node titled `input:prompt` becomes the parameter `prompt`, one titled `output` a result.
    Where no title asks for anything, prompts, seeds, sizes, steps and pictures are proposed.
    """
    from worker.cli.client.workflow_file import read_prompt
    from worker.workflow.catalog.catalog import bundled_catalog
    from worker.workflow.templates.library import read_library
    from worker.workflow.templates.template_scaffold import scaffold_template

    prompt = read_prompt(workflow)
    known = [model for template in read_library("shipped").values() for model in template.models]
    text = scaffold_template(workflow.stem, prompt, bundled_catalog(), known)
    if not write:
        typer.echo(text, nl=False)
        return
    target = workflow.with_suffix(".toml")
    if target.exists():
        raise typer.BadParameter(f"{target} is there already")
    target.write_text(text, "utf-8")
    typer.echo(
        f"{target}: read it over, then `WORKER_TEMPLATES=shipped,{target.parent} comfy-worker run {target.stem}`"
    )
