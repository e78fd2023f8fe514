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
    from worker.cli.workflow import read_prompt
    from worker.graph.catalog import bundled_catalog
    from worker.graph.proposal import propose
    from worker.library import read_library

    prompt = read_prompt(workflow)
    known = [model for template in read_library("shipped").values() for model in template.models]
    text = propose(workflow.stem, prompt, bundled_catalog(), known)
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
