"""`comfy-worker validate`: all problems of a workflow, found on this machine or by a running worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.options import CatalogFiles, Token

if TYPE_CHECKING:
    from worker.errors import Detail
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.repairs import PreparedPrompt
    from worker.workflow.validation.check import CheckResult
    from worker.workflow.validation.file_check import FileCheck
    from worker.workflow.validation.report import ValidationReport

NOT_VALIDATED = 2
"""Exit code when the worker returned no report."""

EXAMPLES = (
    "comfy-worker validate workflow.json",
    "comfy-worker validate workflow.json --catalog object_info.json --json",
    "comfy-worker validate workflow.json --url http://127.0.0.1:18288",
)


def command(  # noqa: PLR0913 - one parameter an option
    workflow: Annotated[Path, typer.Argument(help="A workflow file of any format.")],
    *,
    catalog: CatalogFiles = None,
    assume_files: Annotated[
        bool,
        typer.Option(
            "--assume-files", help="Do not check that models exist. Input files are checked only with --catalog."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Check the workflow without repairs.")] = False,
    url: Annotated[
        str | None, typer.Option(help="URL of a running worker, which validates with its own nodes and models.")
    ] = None,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response of POST /validate.")] = False,
) -> None:
    """List every problem of a workflow.

    Also lists the repairs that a job makes, and the models that the workflow needs. Without --catalog or --url the
    node classes are those of ComfyUI 0.33.0 and of five node packs.

    Exit code 1: ComfyUI would reject the workflow or a part of it. Exit code 2: the worker returned no report.
    """
    from worker.cli.client.workflow_file import catalog_of, read_workflow
    from worker.cli.output.validation import show

    if url and (catalog or assume_files):
        raise typer.BadParameter("--url cannot be combined with --catalog or --assume-files: the worker has its own")
    content = read_workflow(workflow)
    if url:
        body = _worker_report(url, token, content, strict=strict)
    else:
        classes = catalog_of(catalog or ())
        files = _file_check(classes, listed=bool(catalog), assume=assume_files)
        body = validate_workflow(content, _with_loras(classes, files), files, strict=strict).as_dict()
    show(body, None if as_json else workflow)
    raise typer.Exit(not body["valid"])


def _worker_report(url: str, token: str | None, workflow: object, *, strict: bool) -> Mapping[str, Any]:
    """Return the report of a running worker. Raises Failure."""
    import asyncio

    from worker.cli.client.worker_client import request_validation
    from worker.cli.output.failure import Failure
    from worker.cli.output.waiting import waiting

    try:
        with waiting(f"validating at {url}"):
            return asyncio.run(request_validation(url, token, workflow, strict=strict))
    except Failure as failure:
        failure.exit_code = NOT_VALIDATED
        raise


def validate_workflow(
    workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool = False
) -> ValidationReport:
    """Return the report on a workflow, with these node classes and files.

    The downloads of its models are those that the editor saved in it, then those of the templates.
    """
    from worker.load.workload import workload
    from worker.settings import Settings
    from worker.workflow.model_needs import downloads_by_file, needed_models, saved_downloads
    from worker.workflow.templates.library import read_library
    from worker.workflow.validation.report import build_report
    from worker.workflow.validation.skipped_models import SKIPPED

    check, warnings, ready = _check(workflow, catalog, files, strict=strict)
    library = read_library(Settings.from_env().templates)
    template_models = [file for template in library.values() for file in template.models]
    result = build_report(
        check,
        needed_models(check.prompt, catalog, downloads_by_file([*saved_downloads(workflow), *template_models])),
        workload(check.prompt, catalog),
        is_present=lambda need: need.listed or any(files.exists(folder, need.file) for folder in need.folders),
        # ComfyUI skips such a model and reports success, which `--strict` accepts.
        is_certain=lambda problem: not strict or problem.kind != SKIPPED,
    )
    return replace(result, warnings=warnings, repairs=ready.repairs, seeds=ready.fields)


def _check(
    workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool
) -> tuple[CheckResult, tuple[Detail, ...], PreparedPrompt]:
    """Return the check of the prompt, the warnings of its conversion, and the prompt as a job would run it.

    The last two are empty if the workflow cannot be read.
    """
    from random import SystemRandom

    from worker.errors import CannotConvert, PromptError
    from worker.job import JobRequest
    from worker.workflow.editor import Conversion, convert, is_ui
    from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
    from worker.workflow.repairs import PreparedPrompt, prepare_prompt
    from worker.workflow.validation.check import check, conversion_failure

    unwrapped, rng, unprepared = unwrap(workflow), SystemRandom(), PreparedPrompt({}, (), (), ())
    try:
        conversion = convert(unwrapped, catalog) if is_ui(unwrapped) else Conversion(parse_prompt(unwrapped))
    except CannotConvert as error:
        return conversion_failure(error), (), unprepared
    except PromptError:
        return check(unwrapped, catalog, files, workflow), (), unprepared
    prompt = dict(draw_random_integers(conversion.prompt, rng))
    request = JobRequest(prompt, seed_fields=conversion.seeds, strict=strict)
    ready = prepare_prompt(request, catalog, (), rng)
    return check(ready.prompt, catalog, files, workflow), conversion.warnings, ready


def _file_check(catalog: Catalog, *, listed: bool, assume: bool) -> FileCheck:
    """Return how the existence of models is checked.

    `assume` skips the check. `listed` checks the lists of the catalog, and otherwise the models folder is checked.

    Input files count as present, as a request brings them.
    """
    from worker.models.folder import ModelFiles, baked_models, models_folder, volume_of
    from worker.settings import Settings
    from worker.workflow.validation.file_check import AssumeFiles, ListedFiles

    if assume:
        return AssumeFiles()
    if listed:
        return ListedFiles(catalog)
    settings = Settings.from_env()
    return ModelFiles(models_folder(settings), baked_models(settings), volume_of(settings))


def _with_loras(catalog: Catalog, files: FileCheck) -> Catalog:
    """Return the catalog with the LoRAs of the models folder, or unchanged if that folder is not checked.

    A workflow may name a LoRA by a part of its file's name.
    """
    from worker.models.folder import ModelFiles
    from worker.workflow.loras import LORAS

    return catalog.with_files({LORAS: files.names(LORAS)}) if isinstance(files, ModelFiles) else catalog
