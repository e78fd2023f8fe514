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
    from worker.models.plan import ModelPlan
    from worker.settings import Settings
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.model_needs import Downloads
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

    Downloads are resumed, checked and put into place whole. Exit code 1 where a file is not there afterwards.
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
    files = list(_needed(workflows, library, catalog_of(catalog or ())))
    place = ModelsFolder(root, baked=None if folder else baked_models(settings))
    before = plan(files, place)
    outcomes = asyncio.run(_fetch(settings, place, before, quiet=as_json)) if action is ModelsAction.FETCH else []
    _tell(plan(files, place), outcomes, place, as_json=as_json)
    raise typer.Exit(not plan(files, place).complete)


def _needed(names: Iterable[str], library: Library, catalog: Catalog) -> Iterator[ModelFile]:
    from worker.workflow.model_needs import downloads

    known = [file for template in library.values() for file in template.models]
    for name in names:
        if name in library:
            yield from library[name].models
        else:
            yield from _needed_by(Path(name), catalog, downloads(known), library)


def _needed_by(path: Path, catalog: Catalog, known: Downloads, library: Library) -> Iterator[ModelFile]:
    """A file's models: by its nodes; by what the editor saved of them where no prompt can be made of it."""
    from worker.cli.client.workflow_file import read_workflow
    from worker.errors import CannotConvert, PromptError
    from worker.workflow.editor import convert, is_ui
    from worker.workflow.model_needs import downloads, needed_models, saved_models
    from worker.workflow.nearest import did_you_mean
    from worker.workflow.prompt import parse_prompt, unwrap
    from worker.workflow.repairs import repair
    from worker.workflow.templates.template import ModelFile

    if not path.exists():
        near = did_you_mean(str(path), library) or f"Templates: {', '.join(library) or 'none'}."
        raise typer.BadParameter(f"{path} is neither a template nor a file. {near}")
    workflow = unwrap(read_workflow(path))
    saved = list(saved_models(workflow))
    try:
        prompt = convert(workflow, catalog).prompt if is_ui(workflow) else parse_prompt(workflow)
        prompt = repair(prompt, catalog).prompt  # the names that a job would ask for
        needs = needed_models(prompt, catalog, {**downloads(saved), **known})
    except CannotConvert:
        yield from (known.get((file.folder, file.file), file) for file in saved)
        return
    except PromptError as error:
        raise typer.BadParameter(f"{path}: {error.message}") from error
    yield from (need.source or ModelFile(need.file, need.folder) for need in needs)


async def _fetch(settings: Settings, place: ModelsFolder, before: ModelPlan, *, quiet: bool) -> Sequence[FetchOutcome]:
    """A budget binds a worker only: who fetches by hand has decided."""
    from worker.cli.output.progress_bars import bars
    from worker.models.fetcher import ModelFetcher

    async with ModelFetcher(settings.fetch, place) as fetcher:
        with bars(before.to_fetch, quiet=quiet) as heard:
            return await fetcher.fetch_all(before.to_fetch, heard)


def _tell(after: ModelPlan, outcomes: Sequence[FetchOutcome], place: ModelsFolder, *, as_json: bool) -> None:
    errors = {outcome.file: outcome.error for outcome in outcomes if outcome.error}
    if as_json:
        import orjson

        rows = [
            {**dataclasses.asdict(item.file), "state": item.state, "here": item.here}
            | ({"error": errors[item.file].as_dict()} if item.file in errors else {})
            for item in after.items
        ]
        body = {"folder": str(place.root), "files": rows, "to_fetch": after.size, "free": after.free}
        typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
        return
    _show(after, {file: error.message for file, error in errors.items()}, place)


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
        count = item.here if item.here is not None else item.file.size
        says = Text(errors.get(item.file) or _says(item.file, item.state), "red" if item.file in errors else "")
        name = Text(f"{item.file.folder}/{item.file.file}", "bold")
        table.add_row(Text(f"{sign} {item.state}", style), name, Text(size(count) if count else "?"), says)
    console = screen()
    console.print(table)
    if after.to_fetch:
        left = f"{len(after.to_fetch)} to fetch, {size(after.size)}; {size(after.free)} free in {place.root}"
        console.print(Text(left, "dim"))


def _says(file: ModelFile, state: str) -> str:
    if state == "other":
        return f"another file of this name is there; it should have {file.size} bytes"
    if state == "unknown":
        return "nobody here knows a download"
    gated = "  (gated: its host wants a token, see WORKER_FETCH_AUTH)" if file.gated else ""
    return f"{file.url}{gated}" if state == "missing" else ""
