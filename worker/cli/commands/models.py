"""`comfy-worker models`: the model files that workflows and templates need, and their download."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.argument_completion import template_names
from worker.cli.options import CatalogFiles, Json
from worker.cli.usage import UsageFailure

if TYPE_CHECKING:
    from worker.models.fetcher import FetchOutcome
    from worker.models.folder import ModelsFolder
    from worker.models.needed_files import NeededFiles
    from worker.models.plan import ModelPlan
    from worker.settings import Settings
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.templates.template import Library, ModelFile

EXAMPLES = (
    "comfy-worker models plan flux-schnell workflow.json",
    "comfy-worker models fetch flux-schnell --folder /opt/ComfyUI/models",
)


class ModelsAction(StrEnum):
    """What to do about the files."""

    PLAN = "plan"
    FETCH = "fetch"


def command(
    action: Annotated[ModelsAction, typer.Argument(help="`plan` lists the files. `fetch` downloads the missing ones.")],
    workflows: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKFLOW...", help="Names of templates, and workflow files.", autocompletion=template_names
        ),
    ],
    *,
    folder: Annotated[
        Path | None, typer.Option(help="ComfyUI's models folder, instead of WORKER_MODELS_FOLDER.")
    ] = None,
    catalog: CatalogFiles = None,
    as_json: Json = False,
) -> None:
    """List or download the models that workflows need.

    An interrupted download is resumed by the next `fetch`. Files are verified before they are put into place.

    Exit code 1: a file is missing after the command. With `plan`, also: a node may need a model that the workflow does
    not name.
    """
    from worker.cli.client.workflow_file import catalog_of
    from worker.models.plan import plan
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    settings = Settings.from_env(models_folder=folder)
    library = read_library(settings.templates)
    models = _models_folder(settings, folder)
    needed = list(_needed_files(workflows, library, catalog_of(catalog or ()), models))
    files = [file for item in needed for file in item.files]
    before = plan(files, models)
    outcomes = asyncio.run(_fetch(settings, models, before, quiet=as_json)) if action is ModelsAction.FETCH else []
    after = plan(files, models)
    _print_result(after, outcomes, models, needed, as_json=as_json)
    unseen = action is ModelsAction.PLAN and any(item.unseen for item in needed)
    if after.to_fetch and not as_json:
        _print_next_step(action, workflows)
    raise typer.Exit(unseen or not after.complete)


def _models_folder(settings: Settings, folder: Path | None) -> ModelsFolder:
    """Return the folder of the option or of the settings. Raises StartupError when neither names one."""
    from worker.errors import StartupError
    from worker.models.folder import ModelsFolder, baked_models, models_folder, volume_of

    root = models_folder(settings)
    if root is None:
        raise StartupError("the models folder of that ComfyUI is not known: set --folder or WORKER_MODELS_FOLDER")
    if folder is not None:
        return ModelsFolder(root)
    return ModelsFolder(root, baked=baked_models(settings), volume=volume_of(settings))


def _needed_files(
    names: Iterable[str], library: Library, catalog: Catalog, models: ModelsFolder
) -> Iterator[NeededFiles]:
    """Yield the files of each template or workflow file. Raises typer.BadParameter."""
    from worker.errors import PromptError
    from worker.models.needed_files import NeededFiles, needed_files
    from worker.workflow.model_needs import downloads_by_file

    known_downloads = downloads_by_file(file for template in library.values() for file in template.models)
    for name in names:
        if name in library:
            yield NeededFiles(name, library[name].models)
            continue
        try:
            yield needed_files(name, _read_workflow(Path(name), library), catalog, known_downloads, models)
        except PromptError as error:
            raise typer.BadParameter(f"{name}: {error.message}") from error


def _read_workflow(path: Path, library: Library) -> dict[str, object]:
    """Return the workflow in a file. Raises UsageFailure without the file, with the most similar template name."""
    from worker.cli.client.workflow_file import read_workflow
    from worker.workflow.nearest import did_you_mean
    from worker.workflow.prompt import unwrap

    if not path.exists():
        suggestion = did_you_mean(str(path), library) or ""
        message = f"{path} is neither a template nor a file. {suggestion}".rstrip()
        raise UsageFailure(message, "Run `comfy-worker templates` to list the templates.")
    workflow: dict[str, object] = unwrap(read_workflow(path))
    return workflow


async def _fetch(settings: Settings, models: ModelsFolder, before: ModelPlan, *, quiet: bool) -> Sequence[FetchOutcome]:
    """Download the missing files and return an outcome for each. The size limit for workers does not apply here."""
    from worker.cli.output.progress_bars import bars
    from worker.models.fetcher import ModelFetcher

    async with ModelFetcher(settings.fetch, models) as fetcher:
        with bars(before.to_fetch, quiet=quiet) as on_progress:
            return await fetcher.fetch_all(before.to_fetch, on_progress)


def _print_result(
    after: ModelPlan,
    outcomes: Sequence[FetchOutcome],
    models: ModelsFolder,
    needed: Sequence[NeededFiles],
    *,
    as_json: bool,
) -> None:
    """Print the state of each file after the command, and the nodes that may need other models."""
    errors = {outcome.file: outcome.error for outcome in outcomes if outcome.error}
    if as_json:
        from worker.cli.output.json_output import print_json

        rows = [
            {**dataclasses.asdict(item.file), "state": item.state, "here": item.present_size}
            | ({"error": errors[item.file].as_dict()} if item.file in errors else {})
            for item in after.items
        ]
        unseen = [{"workflow": item.name, **dataclasses.asdict(model)} for item in needed for model in item.unseen]
        body: dict[str, Any] = {"folder": str(models.root), "files": rows, "to_fetch": after.size, "free": after.free}
        print_json(body | {"not_seen": unseen, "runnable": after.complete and not unseen})
        return
    _print_files(after, {file: error.message for file, error in errors.items()}, models)
    for item in needed:
        _print_unseen(item)


def _print_files(after: ModelPlan, errors: Mapping[ModelFile, str], models: ModelsFolder) -> None:
    """Print a row for each file, and the bytes that are missing."""
    from rich.text import Text

    from worker.cli.output.rows import print_rows
    from worker.cli.output.screen import screen
    from worker.cli.output.units import size

    bad = ("✗", "bold red")
    styles = {"here": ("✓", "green"), "missing": ("↓", "yellow"), "unknown": bad, "other": bad}
    rows = []
    for item in after.items:
        sign, style = styles[item.state]
        count = item.present_size if item.present_size is not None else item.file.size
        note = errors.get(item.file) or _note(item.file, item.state)
        cells = (Text(f"{sign} {item.state}", style), Text(f"{item.file.folder}/{item.file.file}", "bold"))
        rows.append([*cells, Text(size(count) if count else "?"), Text(note, "red" if item.file in errors else "")])
    console = screen()
    print_rows(console, rows)
    if after.to_fetch:
        summary = f"{len(after.to_fetch)} to fetch, {size(after.size)}; {size(after.free)} free in {models.root}"
        console.print(Text(summary, "dim"))


def _print_unseen(needed: NeededFiles) -> None:
    """Print the nodes that may need a model which the workflow does not name."""
    from rich.text import Text

    from worker.cli.output.screen import screen

    for model in needed.unseen:
        node = f"node {model.node_id} ({model.class_type})" if model.node_id else needed.name
        value = f" {model.input}={model.value!r}" if model.value is not None else ""
        place = Text(f"{node}{value}", "bold")
        screen().print(Text.assemble(("? not seen", "yellow"), f"  {needed.name}: " if model.node_id else "  ", place))
        screen().print(Text(f"    {model.reason}", "dim"))


def _print_next_step(action: ModelsAction, workflows: Sequence[str]) -> None:
    """Print the command that downloads the missing files."""
    from worker.cli.output.rows import print_step
    from worker.cli.output.screen import screen

    line = f"`comfy-worker models fetch {' '.join(workflows)}`"
    plan = action is ModelsAction.PLAN
    step = f"Run {line} to download them." if plan else f"Run {line} again to resume the downloads."
    print_step(screen(stderr=True), step)


def _note(file: ModelFile, state: str) -> str:
    """Return the URL of a missing file, or the reason why it cannot be downloaded. Empty for a file that is present."""
    if state == "other":
        return f"the folder has another file of this name; the right one has {file.size} bytes"
    if state == "unknown":
        return "no download is known for this file; put it into the folder"
    gated = "  (gated: needs a token, see WORKER_FETCH_AUTH)" if file.gated else ""
    return f"{file.url}{gated}" if state == "missing" else ""
