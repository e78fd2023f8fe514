"""The check of a workflow before it may wait for the GPU, by the engine's own catalog and its models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from worker.engine.client import error_detail
from worker.engine.config import EngineConfig
from worker.engine.pool import EnginePool
from worker.engine.process.failed_packs import name_failed_packs
from worker.engine.protocol.responses import EngineInfo
from worker.errors import (
    CannotConvert,
    ClientError,
    EngineUnavailable,
    InvalidWorkflow,
    ModelsDownloading,
    ModelsMissing,
)
from worker.jobs.prompt_work import NO_SIZES, PromptWork
from worker.load.features.content_size import Size
from worker.load.node_work import JobWork
from worker.models.service import RETRY_AFTER_S, Models
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.missing_class import MISSING
from worker.workflow.model_needs import Downloads, needed_models
from worker.workflow.prompt import Prompt
from worker.workflow.validation.check import CheckResult, check, graph_problems
from worker.workflow.validation.confidence import is_certain
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.file_check import AssumeFiles, AssumeUploads, FileCheck, LocalFiles
from worker.workflow.validation.model_references import saved_model_problems
from worker.workflow.validation.report import ValidationReport, build_report
from worker.workflow.validation.skipped_models import LISTS, SKIPPED, skipped_model_problems
from worker.workflow.walk import run_off_loop_if_large

log = logging.getLogger(__name__)

CATALOG_WAIT_S = 10.0
"""Seconds that a request waits for the engine's catalog. After that only ComfyUI checks the workflow."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of the check of a workflow, and its work."""

    report: ValidationReport
    work: JobWork


class Preflight:
    """Rejects a workflow that ComfyUI would certainly reject. Without a catalog, ComfyUI decides.

    A request waits at most `models_wait_s` seconds for its models. None means without a limit.
    """

    def __init__(
        self, engines: EnginePool, models: Models, work: PromptWork, models_wait_s: float | None = None
    ) -> None:
        self._engines = engines
        self._models = models
        self._work = work
        self._models_wait_s = models_wait_s
        self._info: EngineInfo | None = None
        """Facts of the engine from the last check."""

    @asynccontextmanager
    async def admit(
        self,
        prompt: Prompt,
        saved: object = None,
        sizes: Mapping[str, Size] = NO_SIZES,
        *,
        strict: bool = False,
    ) -> AsyncIterator[JobWork]:
        """Check a prompt and yield its work. While the context lasts, its models are present and kept.

        Missing models are fetched if that is allowed. `saved` is the editor's workflow, which names the packs of its
        nodes. `sizes` are those of input files. With `strict`, only what ComfyUI would reject is rejected. Raises
        InvalidWorkflow and ModelsMissing with all problems, and ModelsDownloading.
        """
        assessment = await self.assess(prompt, saved=saved, sizes=sizes, strict=strict)
        if assessment is None:  # without the engine's catalog, only these checks are certain
            model_problems = saved_model_problems(prompt, bundled_catalog(), await self._engines.saved_models())
            _reject((*graph_problems(prompt), *model_problems))
            _reject([] if strict else self._unlisted_models(prompt), ModelsMissing)
            yield await self._work.of(prompt, sizes)
            return
        report = assessment.report
        if not report.models:
            _reject(report.problems)
            yield assessment.work
            return
        with self._models.protect(report.models):
            present_before = len(report.present_models)
            if report.valid or report.only_models_missing:
                assessment = await self._fetch_models(prompt, assessment, sizes, strict=strict)
                report = assessment.report
            _reject(report.problems, ModelsMissing if report.only_models_missing else InvalidWorkflow)
            self._models.notify_present(present_before)
            yield assessment.work

    async def assess(
        self,
        workflow: object,
        known: Downloads | None = None,
        saved: object = None,
        uploaded_names: Collection[str] | None = None,
        sizes: Mapping[str, Size] = NO_SIZES,
        *,
        strict: bool = False,
    ) -> Assessment | None:
        """Return all problems, the models and the work of a workflow, or None while the catalog cannot be read.

        `known` are further sources of models. `saved` is the editor's workflow. Input files count as present. With
        `uploaded_names`, only these files and the ones in ComfyUI's folders do. `sizes` are those of input files. With
        `strict`, only what ComfyUI would reject is a problem.
        """
        try:
            async with asyncio.timeout(CATALOG_WAIT_S):
                return await self._assess(
                    workflow, {**(known or {}), **self._models.downloads}, saved, uploaded_names, sizes, strict=strict
                )
        except (EngineUnavailable, TimeoutError):
            log.info("the engine's catalog cannot be read, so only ComfyUI checks the workflow")
            return None

    async def explain_missing_classes(self, error: CannotConvert, saved: object) -> CannotConvert:
        """Return the error. For each missing class whose pack failed to import, add the pack and the reason.

        `saved` is the editor's workflow, which names the packs of its nodes.
        """
        catalog = self._engines.known_catalog or bundled_catalog()
        details = await name_failed_packs(
            error.details, self._engines.failed_packs or (), saved, lambda detail: detail.class_type not in catalog
        )
        if details == error.details:
            return error
        message = error.message.replace(error.details[0].message, details[0].message)  # it quotes the first detail
        return CannotConvert(message, details)

    async def _assess(
        self,
        workflow: object,
        known: Downloads,
        editor_file: object,
        uploaded_names: Collection[str] | None,
        sizes: Mapping[str, Size],
        *,
        strict: bool,
    ) -> Assessment:
        """Return the result as `assess` does. Raises EngineUnavailable while the catalog cannot be read."""
        if not self._engines.connected:
            raise EngineUnavailable("ComfyUI is not connected")
        info = self._info = await self._engines.info()
        files = _file_check(info, self._engines.configs[0], uploaded_names)
        catalog, result = await self._check_current(workflow, files, editor_file)
        saved_models = await self._saved_model_problems(result.prompt, catalog)
        saved_model_inputs, reported_inputs = set(map(_input_of, saved_models)), set(map(_input_of, result.problems))
        problems, failed_packs = result.problems, self._engines.failed_packs
        if problems and failed_packs:
            problems = await name_failed_packs(
                problems, failed_packs, editor_file, lambda problem: problem.kind == MISSING
            )
        problems = (*problems, *(problem for problem in saved_models if _input_of(problem) not in reported_inputs))
        is_certain_problem = partial(
            _is_certain, prompt=result.prompt, catalog=catalog, version=info.version, strict=strict
        )
        models, work = await self._work.with_models(result.prompt, catalog, sizes, known)
        report = build_report(
            replace(result, problems=problems),
            models,
            work.units,
            self._models.is_present,
            lambda problem: _input_of(problem) in saved_model_inputs or is_certain_problem(problem),
        )
        return Assessment(report, work)

    async def _check_current(
        self, workflow: object, files: FileCheck, editor_file: object
    ) -> tuple[Catalog, CheckResult]:
        """Check a workflow, and return the engine's catalog and the result.

        If there are problems, the catalog is read again for the affected classes and the workflow is checked again,
        because files or packs may have been added or removed since the catalog was read.
        """
        catalog = await self._engines.catalogs.current()
        result = await _check(workflow, catalog, files, editor_file)
        uncertain_classes = _affected_classes(result.problems)
        if isinstance(files, LocalFiles):
            uncertain_classes |= {node["class_type"] for node in result.prompt.values()} & set(catalog)
        if uncertain_classes or result.problems:
            catalog = await self._engines.catalogs.refreshed(uncertain_classes)
            result = await _check(workflow, catalog, files, editor_file)
        return catalog, result

    async def _saved_model_problems(self, prompt: Prompt, catalog: Catalog) -> list[Problem]:
        """Return the problems of inputs that name a model which a node of another job has saved."""
        saved = await self._engines.saved_models()
        if not saved.by_folder:
            return []
        return await run_off_loop_if_large(prompt, lambda: list(saved_model_problems(prompt, catalog, saved)))

    def _unlisted_models(self, prompt: Prompt) -> list[Problem]:
        """Return the missing models that ComfyUI would not report, by the last known catalog.

        Return an empty list without a catalog, and for an engine that accepts models which do not exist.
        """
        catalog = self._engines.known_catalog
        if catalog is None or self._info is None or self._info.lenient:
            return []
        present_files = {need.file for need in needed_models(prompt, catalog) if self._models.is_present(need)}
        problems = skipped_model_problems(prompt, catalog, AssumeUploads())
        return [problem for problem in problems if problem.file not in present_files]

    async def _fetch_models(
        self, prompt: Prompt, assessment: Assessment, sizes: Mapping[str, Size], *, strict: bool
    ) -> Assessment:
        """Fetch the missing models, if that is allowed and each has a source. Return a new result, or else the old one.

        Raises ModelsDownloading when they are not there in time, and ModelsMissing when one cannot be fetched.
        """
        report = assessment.report
        missing = report.missing
        fetchable = [need for need in report.models if need not in report.present_models and need.source]
        if missing and report.problems and self._models.is_fetching(missing):
            message = "models of this workflow are being downloaded to this worker"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)
        if not fetchable or not self._models.on_demand or any(need.source is None for need in missing):
            return assessment
        await self._models.fetch(fetchable, self._models_wait_s)
        return await self.assess(prompt, sizes=sizes, strict=strict) or assessment


def _reject(problems: Sequence[Problem], kind: type[ClientError] = InvalidWorkflow) -> None:
    """Raise an error of this kind with all problems, if there are any. Its message is that of the first one."""
    if problems:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        message = f"{_location(problems[0])}{problems[0].message}{others}"
        raise kind(message, [error_detail(problem) for problem in problems])


def _location(problem: Problem) -> str:
    """Return the node of a problem as the start of a message, or an empty string."""
    return f"node {problem.node_id} ({problem.node_title}): " if problem.node_id else ""


def _file_check(info: EngineInfo, config: EngineConfig, uploaded_names: Collection[str] | None) -> FileCheck:
    """Return the check for input files.

    `uploaded_names` are the files that come with the request. None means that all files count as present. If ComfyUI's
    folders can be reached, a file may also be in one of them.
    """
    if info.lenient:
        return AssumeFiles()
    if uploaded_names is None or config.input is None:
        return AssumeUploads()
    working_folder = Path() if config.command else None  # a ComfyUI that this worker starts has the same one
    folders = {"input": config.input, "output": config.output, "temp": config.temp}
    return LocalFiles(
        {name: path for name, path in folders.items() if path is not None}, working_folder, uploaded_names
    )


async def _check(workflow: object, catalog: Catalog, files: FileCheck, editor_file: object) -> CheckResult:
    """Check a workflow, in a thread if it is large."""
    return await run_off_loop_if_large(workflow, lambda: check(workflow, catalog, files, editor_file))


def _input_of(problem: Problem) -> tuple[str | None, str | None, str]:
    """Return the node, the input and the kind of a problem, to compare two problems."""
    return problem.node_id, problem.input, problem.kind


def _affected_classes(problems: Sequence[Problem]) -> set[str]:
    """Return the classes with problems, and the classes that list models if a model is missing."""
    skipped = any(problem.kind == SKIPPED for problem in problems)
    return {problem.class_type for problem in problems if problem.class_type} | (LISTS if skipped else set())


def _is_certain(problem: Problem, prompt: Prompt, catalog: Catalog, version: str, *, strict: bool) -> bool:
    """Return whether a workflow is rejected for a problem.

    A missing model that ComfyUI itself would not report is a reason unless the request is `strict`.
    """
    if problem.kind == SKIPPED:
        return not strict
    return is_certain(problem, prompt, catalog, version)
