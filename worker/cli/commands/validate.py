"""`comfy-worker validate`: all that is wrong with a workflow, without an engine or by a running worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from worker.errors import Detail
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.repairs import PreparedPrompt
    from worker.workflow.validation.check import CheckResult
    from worker.workflow.validation.file_check import FileCheck
    from worker.workflow.validation.report import ValidationReport


def command(  # noqa: PLR0913 - one parameter an option
    workflow: Annotated[Path, typer.Argument(help="in any format, or a file of ComfyUI's that carries it")],
    *,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="GET /object_info of the ComfyUI it is for; several are merged"),
    ] = None,
    assume_files: Annotated[
        bool, typer.Option("--assume-files", help="take models and input files for present")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="check what is there, without any repair")] = False,
    url: Annotated[str | None, typer.Option(help="ask a running worker: its ComfyUI, packs and models count")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="WORKER_TOKEN", help="one of the worker's WORKER_TOKENS, where it has any")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print what POST /validate answers")] = False,
) -> None:
    """Say all that is wrong with a workflow, and what it needs.

    Exit code 1 where ComfyUI would refuse it, or a part of it; 2 where a worker does not say. Without a catalog or a
    worker the nodes of ComfyUI 0.33.0 and of five packs are known.
    """
    from worker.cli.client.workflow_file import catalog_of, read_workflow
    from worker.cli.output.validation import show

    if url and (catalog or assume_files):
        raise typer.BadParameter("--url asks a worker, which has its own catalog and files")
    sent = read_workflow(workflow)
    if url:
        body = _asked(url, token, sent, strict=strict)
    else:
        known = catalog_of(catalog or ())
        files = _files(known, listed=bool(catalog), assume=assume_files)
        body = look(sent, _with_loras(known, files), files, strict=strict).as_dict()
    show(body, None if as_json else workflow.name)
    raise typer.Exit(not body["valid"])


def _asked(url: str, token: str | None, workflow: object, *, strict: bool) -> Mapping[str, Any]:
    """What a running worker answers. Raises typer.Exit."""
    import asyncio

    from worker.cli.client.worker_client import validated
    from worker.cli.output.failure import Failure
    from worker.cli.output.screen import screen

    try:
        return asyncio.run(validated(url, token, workflow, strict=strict))
    except Failure as failure:
        failure.show(screen(stderr=True))
        raise typer.Exit(2) from None


def look(workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool = False) -> ValidationReport:
    """The report, by these files; downloads are those that the editor saved, then those of the templates."""
    from worker.load.workload import workload
    from worker.settings import Settings
    from worker.workflow.model_needs import downloads_by_file, needed_models, saved_downloads
    from worker.workflow.templates.library import read_library
    from worker.workflow.validation.report import build_report
    from worker.workflow.validation.skipped_models import SKIPPED

    checked, warnings, ready = _checked(workflow, catalog, files, strict=strict)
    library = read_library(Settings.from_env().templates)
    known = downloads_by_file([*saved_downloads(workflow), *(file for one in library.values() for file in one.models)])
    found = build_report(
        checked,
        needed_models(checked.prompt, catalog, known),
        workload(checked.prompt, catalog),
        lambda need: need.listed or any(files.exists(folder, need.file) for folder in need.folders),
        lambda problem: not strict or problem.kind != SKIPPED,
    )
    return replace(found, warnings=warnings, repairs=ready.repairs, seeds=ready.fields)


def _checked(
    workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool
) -> tuple[CheckResult, tuple[Detail, ...], PreparedPrompt]:
    """The check, the warnings of the conversion, and what would run."""
    from random import SystemRandom

    from worker.errors import CannotConvert, PromptError
    from worker.job import JobRequest
    from worker.workflow.editor import Conversion, convert, is_ui
    from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
    from worker.workflow.repairs import PreparedPrompt, prepare_prompt
    from worker.workflow.validation.check import check, conversion_failure

    found, rng, nothing = unwrap(workflow), SystemRandom(), PreparedPrompt({}, (), (), ())
    try:
        conversion = convert(found, catalog) if is_ui(found) else Conversion(parse_prompt(found))
    except CannotConvert as error:
        return conversion_failure(error), (), nothing
    except PromptError:
        return check(found, catalog, files, workflow), (), nothing
    prompt = dict(draw_random_integers(conversion.prompt, rng))
    request = JobRequest(prompt, seed_fields=conversion.seeds, strict=strict)
    ready = prepare_prompt(request, catalog, (), rng)
    return check(ready.prompt, catalog, files, workflow), conversion.warnings, ready


def _files(catalog: Catalog, *, listed: bool, assume: bool) -> FileCheck:
    """Those that the catalog lists, or else those of the models folder; pictures come with the request."""
    from worker.models.folder import ModelFiles, baked_models, models_folder
    from worker.settings import Settings
    from worker.workflow.validation.file_check import AssumeFiles, ListedFiles

    if assume:
        return AssumeFiles()
    if listed:
        return ListedFiles(catalog)
    settings = Settings.from_env()
    return ModelFiles(models_folder(settings), baked_models(settings))


def _with_loras(catalog: Catalog, files: FileCheck) -> Catalog:
    """The catalog that lists the LoRAs of the models folder, which nodes find by a part of their name."""
    from worker.models.folder import ModelFiles
    from worker.workflow.loras import LORAS

    return catalog.with_files({LORAS: files.names(LORAS)}) if isinstance(files, ModelFiles) else catalog
