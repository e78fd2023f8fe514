"""`comfy-worker templates new`: a draft of a template for a workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json

EXAMPLES = ("comfy-worker templates new workflow.json", "comfy-worker templates new workflow.json --write")


def command(
    workflow: Annotated[Path, typer.Argument(help="A workflow file of any format.")],
    *,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write the template beside the workflow as NAME.toml, instead of printing it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a template for a workflow.

    A node with the title `input:prompt` becomes the parameter `prompt`. A node with the title `output` becomes a
    result. Without such titles the parameters are the prompts, seeds, sizes, steps and input files. Read the
    template before you use it.
    """
    from worker.cli.client.workflow_file import read_prompt
    from worker.cli.output.json_output import print_json
    from worker.workflow.catalog.catalog import bundled_catalog
    from worker.workflow.templates.library import read_library
    from worker.workflow.templates.template_scaffold import scaffold_template

    prompt = read_prompt(workflow)
    known_models = [model for template in read_library("shipped").values() for model in template.models]
    text = scaffold_template(workflow.stem, prompt, bundled_catalog(), known_models)
    target = workflow.with_suffix(".toml")
    if write:
        if target.exists():
            raise typer.BadParameter(f"{target} exists already: move or delete it first")
        target.write_text(text, "utf-8")
    if as_json:
        print_json({"name": workflow.stem, "template": text, "file": str(target) if write else None})
    elif write:
        run = f"WORKER_TEMPLATES=shipped,{target.parent} comfy-worker run {target.stem}"
        typer.echo(f"{target}: read the template, then run it with `{run}`")
    else:
        typer.echo(text, nl=False)
