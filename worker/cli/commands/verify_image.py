"""`comfy-worker verify-image`: a trial of the ComfyUI, the node packs and the templates of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.nodes.group import FILE, pins_in, reported_errors
from worker.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from worker.node_packs.trial import Trial
    from worker.node_packs.verify import ImageFinding
    from worker.settings import Settings
    from worker.workflow.templates.template import ModelFile

EXAMPLES = (
    "comfy-worker verify-image --comfyui /opt/ComfyUI",
    "comfy-worker verify-image --object-info object_info.json.gz --json",
)
SIGNS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "excused": ("?", "yellow"),
    "left out": ("–", "dim"),
}
"""Sign and style of a finding, by its state."""


def command(
    *,
    comfyui: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="ComfyUI's folder, instead of WORKER_COMFYUI.")
    ] = None,
    pins: Annotated[Path, typer.Option(help="File with the pinned node packs.")] = FILE,
    object_info: Annotated[Path | None, typer.Option(metavar="FILE", help="Write GET /object_info here.")] = None,
    as_json: Json = False,
) -> None:
    """Check that an image's node packs and templates work.

    Starts the image's ComfyUI on the CPU, with empty files in place of models.

    Exit code 1: a node pack is not imported, a node class is missing, or ComfyUI rejects a template.
    """
    import asyncio

    from worker.cli.output.waiting import waiting
    from worker.node_packs.trial import run_trial
    from worker.node_packs.verify import FindingState, check_image, installed_packs, runnable
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    settings = Settings.from_env(comfyui=comfyui)
    folder = _folder(settings)
    with reported_errors():
        pinned = pins_in(pins)
        folders = [path.name for path in (folder / "custom_nodes").glob("*/")]
        packs = installed_packs(pinned, folders, _installed(folder))
    library = read_library(settings.templates)
    templates = runnable(library, packs)
    with waiting(f"starting the ComfyUI in {folder} and checking {len(templates)} templates"):
        trial = asyncio.run(run_trial(folder, templates, settings))
    findings = check_image(trial, packs, library)
    _print_findings(findings, as_json=as_json)
    failed = any(finding.state is FindingState.FAILED for finding in findings)
    if object_info and not failed:
        _write_catalog(object_info, trial, [model for template in templates for model in template.models])
    raise typer.Exit(failed)


def _folder(settings: Settings) -> Path:
    """Return ComfyUI's folder. Raises StartupError when the setting is not a folder."""
    from worker.errors import StartupError

    if settings.engine.comfyui == "embedded" or "://" in settings.engine.comfyui:
        raise StartupError("the folder of ComfyUI is not known: set --comfyui FOLDER or WORKER_COMFYUI")
    return Path(settings.engine.comfyui)


def _installed(folder: Path) -> list[str]:
    """Return the names of the packs that the build of an image installed, from the record in ComfyUI's folder.

    The list is empty if ComfyUI was installed in another way.
    """
    import json

    from worker.node_packs.sources import RECORD

    return list(json.loads((folder / RECORD).read_text("utf-8"))) if (folder / RECORD).exists() else []


def _write_catalog(file: Path, trial: Trial, models: list[ModelFile]) -> None:
    """Write the node classes to a file, without the empty files that stood in place of models."""
    import gzip

    import orjson

    from worker.node_packs.standins import without_standins

    assert trial.catalog is not None  # noqa: S101 - a trial without a catalog has failed
    text = orjson.dumps(without_standins(trial.catalog, models), option=orjson.OPT_SORT_KEYS)
    # Without the time in the gzip header, the same catalog always gives the same bytes.
    file.write_bytes(gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)


def _print_findings(findings: list[ImageFinding], *, as_json: bool) -> None:
    """Print a row for each finding, the details of the findings that have any, and the result."""
    count = sum(finding.state == "failed" for finding in findings)
    if as_json:
        import dataclasses

        from worker.cli.output.json_output import print_json

        print_json({"passed": not count, "findings": [dataclasses.asdict(finding) for finding in findings]})
        return
    from rich.padding import Padding
    from rich.text import Text

    from worker.cli.output.rows import print_step
    from worker.cli.output.screen import screen

    console = screen()
    console.print(_table(findings))
    for finding in findings:
        if finding.details:
            console.print(Text(f"\n{finding.name}", "bold"))
            console.print(Padding(Text("\n".join(finding.details)), (0, 0, 0, 2)))
    if count:
        console.print(Text(f"\n✗ {count} failed", "bold red"))
        step = "Pin other commits with `comfy-worker nodes update NAME@REF`, then build the image again."
        print_step(console, step)
    else:
        console.print(Text("\n✓ the node packs and the templates of this image work", "green"))


def _table(findings: list[ImageFinding]) -> Table:
    """Return the table of findings: their state, kind, name and message."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        style = "red" if finding.state == "failed" else ""
        cells = (Text(finding.kind, "dim"), Text(finding.name, "bold"), Text(finding.says, style))
        table.add_row(Text(*SIGNS[finding.state]), *cells)
    return table
