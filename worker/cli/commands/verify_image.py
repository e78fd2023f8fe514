"""`comfy-worker verify-image`: does this image's ComfyUI do what the image is for?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.nodes.group import FILE, Json, pins_in, told

if TYPE_CHECKING:
    from worker.node_packs.trial import Trial
    from worker.node_packs.verify import ImageFinding
    from worker.settings import Settings
    from worker.workflow.templates.template import ModelFile


def command(
    *,
    comfyui: Annotated[str | None, typer.Option(metavar="FOLDER", help="instead of WORKER_COMFYUI's")] = None,
    pins: Annotated[Path, typer.Option(help="the pins")] = FILE,
    object_info: Annotated[
        Path | None, typer.Option(metavar="FILE", help="keep what GET /object_info answers; .gz packs it")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that an image's packs and templates work.

    Starts its ComfyUI on the CPU, with empty files in place of models. Exit code 1 where a pack isn't imported, a
    class is missing, or a template whose packs are there is refused.
    """
    import asyncio

    from worker.node_packs.trial import run_trial
    from worker.node_packs.verify import FindingState, check_image, installed_packs, runnable
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    settings = Settings.from_env(comfyui=comfyui)
    folder = _folder(settings)
    with told():
        pinned = pins_in(pins)
        packs = installed_packs(pinned, [path.name for path in (folder / "custom_nodes").glob("*/")], _record(folder))
    library = read_library(settings.templates)
    templates = runnable(library, packs)
    trial = asyncio.run(run_trial(folder, templates, settings))
    findings = check_image(trial, packs, library)
    _tell(findings, as_json=as_json)
    failed = any(one.state is FindingState.FAILED for one in findings)
    if object_info and not failed:
        _keep(object_info, trial, [model for one in templates for model in one.models])
    raise typer.Exit(failed)


def _folder(settings: Settings) -> Path:
    from worker.errors import StartupError

    if settings.engine.comfyui == "embedded" or "://" in settings.engine.comfyui:
        raise StartupError("say which ComfyUI: --comfyui FOLDER, or WORKER_COMFYUI")
    return Path(settings.engine.comfyui)


def _record(folder: Path) -> list[str]:
    """The names of what was laid down; none where it came otherwise."""
    import json

    from worker.node_packs.sources import RECORD

    return list(json.loads((folder / RECORD).read_text("utf-8"))) if (folder / RECORD).exists() else []


def _keep(file: Path, trial: Trial, models: list[ModelFile]) -> None:
    import gzip

    import orjson

    from worker.node_packs.standins import without_standins

    assert trial.catalog is not None  # noqa: S101 - it has been verified
    text = orjson.dumps(without_standins(trial.catalog, models), option=orjson.OPT_SORT_KEYS)
    # Without the time, so that the same catalog is the same file.
    file.write_bytes(gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)


def _tell(findings: list[ImageFinding], *, as_json: bool) -> None:
    if as_json:
        import dataclasses

        import orjson

        body = {"passed": not any(one.state == "failed" for one in findings)}
        rows = [dataclasses.asdict(one) for one in findings]
        typer.echo(orjson.dumps({**body, "findings": rows}, option=orjson.OPT_INDENT_2).decode())
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    signs = {
        "passed": ("✓", "green"),
        "failed": ("✗", "bold red"),
        "excused": ("?", "yellow"),
        "left out": ("–", "dim"),
    }
    console = screen()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for one in findings:
        style = "red" if one.state == "failed" else ""
        table.add_row(Text(*signs[one.state]), Text(one.kind, "dim"), Text(one.name, "bold"), Text(one.says, style))
    console.print(table)
    for one in findings:
        if one.details:
            console.print(Text(f"\n{one.name}", "bold"))
            console.print(Padding(Text("\n".join(one.details)), (0, 0, 0, 2)))
    count = sum(one.state == "failed" for one in findings)
    console.print(
        Text(f"\n✗ {count} failed", "bold red") if count else Text("\n✓ this image does what it is for", "green")
    )
