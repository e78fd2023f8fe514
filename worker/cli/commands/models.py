"""`comfy-worker models`: which files a workflow or a template needs, and getting them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.models.fetcher import FetchOutcome
    from worker.models.folder import ModelsFolder
    from worker.models.needed_files import NeededFiles
    from worker.models.plan import ModelPlan
    from worker.settings import Settings
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.templates.template import Library, ModelFile


class ModelsAction(StrEnum):
    """What to do about the files."""

    PLAN = "plan"
    FETCH = "fetch"


def command(
    action: Annotated[ModelsAction, typer.Argument(help="plan: say what is there; fetch: get what is not")],
    workflows: Annotated[list[str], typer.Argument(metavar="WORKFLOW...", help="templates by name, workflow files")],
    *,
    folder: Annotated[
        Path | None, typer.Option(help="ComfyUI's models folder, instead of WORKER_MODELS_FOLDER's")
    ] = None,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="GET /object_info of the ComfyUI it is for; several are merged"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which model files workflows need, or fetch them.

    Downloads are resumed, checked and put into place whole. Exit code 1 where a file is not there afterwards; of plan
    also where a node may need a model that can't be seen.
    """
    from worker.cli.client.workflow_file import catalog_of
    from worker.errors import StartupError
    from worker.models.folder import ModelsFolder, baked_models, models_folder
    from worker.models.plan import plan
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    settings = Settings.from_env(models_folder=folder)
    root = models_folder(settings)
    if root is None:
        raise StartupError("say where that ComfyUI's models lie: --folder, or WORKER_MODELS_FOLDER")
    library = read_library(settings.templates)
    place = ModelsFolder(root, baked=None if folder else baked_models(settings))
    needed = list(_needed(workflows, library, catalog_of(catalog or ()), place))
    files = [file for one in needed for file in one.files]
    before = plan(files, place)
    outcomes = asyncio.run(_fetch(settings, place, before, quiet=as_json)) if action is ModelsAction.FETCH else []
    after = plan(files, place)
    _tell(after, outcomes, place, needed, as_json=as_json)
    unseen = action is ModelsAction.PLAN and any(one.unseen for one in needed)
    raise typer.Exit(unseen or not after.complete)


def _needed(names: Iterable[str], library: Library, catalog: Catalog, place: ModelsFolder) -> Iterator[NeededFiles]:
    from worker.errors import PromptError
    from worker.models.needed_files import NeededFiles, needed_files
    from worker.workflow.model_needs import downloads_by_file

    known = downloads_by_file(file for template in library.values() for file in template.models)
    for name in names:
        if name in library:
            yield NeededFiles(name, library[name].models)
            continue
        try:
            yield needed_files(name, _workflow(Path(name), library), catalog, known, place)
        except PromptError as error:
            raise typer.BadParameter(f"{name}: {error.message}") from error


def _workflow(path: Path, library: Library) -> dict[str, object]:
    from worker.cli.client.workflow_file import read_workflow
    from worker.workflow.nearest import did_you_mean
    from worker.workflow.prompt import unwrap

    if not path.exists():
        near = did_you_mean(str(path), library) or f"Templates: {', '.join(library) or 'none'}."
        raise typer.BadParameter(f"{path} is neither a template nor a file. {near}")
    workflow: dict[str, object] = unwrap(read_workflow(path))
    return workflow


async def _fetch(settings: Settings, place: ModelsFolder, before: ModelPlan, *, quiet: bool) -> Sequence[FetchOutcome]:
    """A budget binds a worker only: who fetches by hand has decided."""
    from worker.cli.output.progress_bars import bars
    from worker.models.fetcher import ModelFetcher

    async with ModelFetcher(settings.fetch, place) as fetcher:
        with bars(before.to_fetch, quiet=quiet) as heard:
            return await fetcher.fetch_all(before.to_fetch, heard)


def _tell(
    after: ModelPlan,
    outcomes: Sequence[FetchOutcome],
    place: ModelsFolder,
    needed: Sequence[NeededFiles],
    *,
    as_json: bool,
) -> None:
    errors = {outcome.file: outcome.error for outcome in outcomes if outcome.error}
    if as_json:
        import orjson

        rows = [
            {**dataclasses.asdict(item.file), "state": item.state, "here": item.present_size}
            | ({"error": errors[item.file].as_dict()} if item.file in errors else {})
            for item in after.items
        ]
        unseen = [{"workflow": one.name, **dataclasses.asdict(model)} for one in needed for model in one.unseen]
        body = {"folder": str(place.root), "files": rows, "to_fetch": after.size, "free": after.free}
        body |= {"not_seen": unseen, "runnable": after.complete and not unseen}
        typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
        return
    _show(after, {file: error.message for file, error in errors.items()}, place)
    for one in needed:
        _show_unseen(one)


def _show(after: ModelPlan, errors: dict[ModelFile, str], place: ModelsFolder) -> None:
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen
    from worker.cli.output.units import size

    bad = ("✗", "bold red")
    styles = {"here": ("✓", "green"), "missing": ("↓", "yellow"), "unknown": bad, "other": bad}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for item in after.items:
        sign, style = styles[item.state]
        count = item.present_size if item.present_size is not None else item.file.size
        says = Text(errors.get(item.file) or _says(item.file, item.state), "red" if item.file in errors else "")
        name = Text(f"{item.file.folder}/{item.file.file}", "bold")
        table.add_row(Text(f"{sign} {item.state}", style), name, Text(size(count) if count else "?"), says)
    console = screen()
    console.print(table)
    if after.to_fetch:
        left = f"{len(after.to_fetch)} to fetch, {size(after.size)}; {size(after.free)} free in {place.root}"
        console.print(Text(left, "dim"))


def _show_unseen(needed: NeededFiles) -> None:
    from rich.text import Text

    from worker.cli.output.screen import screen

    for model in needed.unseen:
        node = f"node {model.node_id} ({model.class_type})" if model.node_id else needed.name
        value = f" {model.input}={model.value!r}" if model.value is not None else ""
        place = Text(f"{node}{value}", "bold")
        screen().print(Text.assemble(("? not seen", "yellow"), f"  {needed.name}: " if model.node_id else "  ", place))
        screen().print(Text(f"    {model.reason}", "dim"))


def _says(file: ModelFile, state: str) -> str:
    if state == "other":
        return f"another file of this name is there; it should have {file.size} bytes"
    if state == "unknown":
        return "nobody here knows a download"
    gated = "  (gated: its host wants a token, see WORKER_FETCH_AUTH)" if file.gated else ""
    return f"{file.url}{gated}" if state == "missing" else ""
