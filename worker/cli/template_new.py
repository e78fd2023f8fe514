"""`comfy-worker templates new`: a template for a workflow, to be read over and kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer


def command(
    workflow: Annotated[Path, typer.Argument(help="workflow in ComfyUI's API format")],
    *,
    write: Annotated[bool, typer.Option("--write", help="write it beside the workflow, as NAME.toml")] = False,
) -> None:
    """Propose the template of any workflow.

    A node titled `input:prompt` becomes the parameter `prompt`, one titled `output` a result.
    Where no title asks for anything, prompts, seeds, sizes, steps and pictures are proposed.
    """
    from worker.graph.catalog import Catalog
    from worker.graph.prompt import PromptError, parse_prompt
    from worker.graph.proposal import propose
    from worker.library import read_library

    try:
        prompt = parse_prompt(orjson.loads(workflow.read_bytes()))
    except OSError as error:
        raise typer.BadParameter(f"{workflow}: {(error.strerror or str(error)).lower()}") from error
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{workflow} is not JSON: {error}") from error
    except PromptError as error:
        raise typer.BadParameter(f"{workflow}: {error.message} {error.suggestion or ''}".rstrip()) from error
    known = [model for template in read_library("shipped").values() for model in template.models]
    text = propose(workflow.stem, prompt, Catalog.bundled(), known)
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
