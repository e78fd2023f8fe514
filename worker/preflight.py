"""The check of a workflow before it may wait for the GPU, by the engine's own catalog and its models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from worker.engine.client import error_detail
from worker.engine.config import EngineConfig
from worker.engine.pool import EnginePool
from worker.engine.process.failed_packs import name_failed_packs
from worker.engine.protocol.api import EngineInfo
from worker.errors import (
    CannotConvert,
    ClientError,
    EngineUnavailable,
    InvalidWorkflow,
    ModelsDownloading,
    ModelsMissing,
)
from worker.load.workload import workload
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


class Preflight:
    """Rejects a workflow that ComfyUI would certainly reject. Without a catalog, ComfyUI decides.

    A request waits at most `models_wait_s` seconds for its models. None means without a limit.
    """

    def __init__(self, engines: EnginePool, models: Models, models_wait_s: float | None = None) -> None:
        self._engines = engines
        self._models = models
        self._models_wait_s = models_wait_s
        self._info: EngineInfo | None = None
        """Facts of the engine from the last check."""

    @asynccontextmanager
    async def admit(self, prompt: Prompt, saved: object = None, *, strict: bool = False) -> AsyncIterator[float]:
        """Check a prompt and yield its workload in units. Inside the context its models are present and kept.

        Missing models are fetched if that is allowed. `saved` is the editor's workflow, which names the packs of its
        nodes. With `strict`, only what ComfyUI would reject is rejected. Raises InvalidWorkflow and ModelsMissing with
        all problems, and ModelsDownloading.
        """
        report = await self.report(prompt, saved=saved, strict=strict)
        if report is None:
            saved = saved_model_problems(prompt, bundled_catalog(), await self._engines.saved_models())
            _reject((*graph_problems(prompt), *saved))
            _reject([] if strict else self._unlisted_models(prompt), ModelsMissing)
            yield workload(prompt)
            return
        if not report.models:
            _reject(report.problems)
            yield report.workload
            return
        with self._models.protect(report.models):
            present_before = len(report.present_models)
            if report.valid or report.only_models_missing:
                report = await self._fetch_models(prompt, report, strict=strict)
            _reject(report.problems, ModelsMissing if report.only_models_missing else InvalidWorkflow)
            self._models.notify_present(present_before)
            yield report.workload

    async def report(
        self,
        workflow: object,
        known: Downloads | None = None,
        saved: object = None,
        coming: Collection[str] | None = None,
        *,
        strict: bool = False,
    ) -> ValidationReport | None:
        """Return all problems and models of a workflow, None while the engine's catalog cannot be read.

        `known` are more sources of models. With `strict`, only what ComfyUI would reject is a problem. Input files
        count as present. With `coming`, only those files do, and the ones in ComfyUI's folders.
        """
        try:
            async with asyncio.timeout(CATALOG_WAIT_S):
                return await self._report(
                    workflow, {**(known or {}), **self._models.downloads}, saved, coming, strict=strict
                )
        except (EngineUnavailable, TimeoutError):
            log.info("the engine's catalog cannot be read, so only ComfyUI checks the workflow")
            return None

    async def explain_missing_classes(self, error: CannotConvert, saved: object) -> CannotConvert:
        """Return the error, with the reason for each missing class whose pack the engine could not import."""
        catalog = self._engines.known_catalog or bundled_catalog()
        details = await name_failed_packs(
            error.details, self._engines.failed_packs or (), saved, lambda detail: detail.class_type not in catalog
        )
        if details == error.details:
            return error
        return CannotConvert(error.message.replace(error.details[0].message, details[0].message), details)

    async def _report(
        self,
        workflow: object,
        known: Downloads,
        editors_file: object,
        coming: Collection[str] | None,
        *,
        strict: bool,
    ) -> ValidationReport:
        if not self._engines.connected:
            raise EngineUnavailable("ComfyUI is not connected")
        info = self._info = await self._engines.info()
        catalog = await self._engines.catalogs.current()
        files = _file_check(info, self._engines.configs[0], coming)
        result = await _check(workflow, catalog, files, editors_file)
        uncertain_classes = _affected_classes(result.problems)
        if isinstance(files, LocalFiles):
            uncertain_classes |= {node["class_type"] for node in result.prompt.values()} & set(catalog)
        if uncertain_classes or result.problems:
            # Files or packs may have been added or removed since the catalog was read.
            catalog = await self._engines.catalogs.refreshed(uncertain_classes)
            result = await _check(workflow, catalog, files, editors_file)
        saved_models = await self._saved_model_problems(result.prompt, catalog)
        saved_model_inputs, reported_inputs = set(map(_input_of, saved_models)), set(map(_input_of, result.problems))
        if (problems := result.problems) and (failed := self._engines.failed_packs):
            problems = await name_failed_packs(problems, failed, editors_file, lambda problem: problem.kind == MISSING)
        problems = (*problems, *(problem for problem in saved_models if _input_of(problem) not in reported_inputs))
        is_certain_problem = partial(
            _is_certain, prompt=result.prompt, catalog=catalog, version=info.version, strict=strict
        )
        models, units = await run_off_loop_if_large(
            result.prompt, lambda: (needed_models(result.prompt, catalog, known), workload(result.prompt, catalog))
        )
        return build_report(
            replace(result, problems=problems),
            models,
            units,
            self._models.is_present,
            lambda problem: _input_of(problem) in saved_model_inputs or is_certain_problem(problem),
        )

    async def _saved_model_problems(self, prompt: Prompt, catalog: Catalog) -> list[Problem]:
        """Return the problems of inputs that name a model which another job saved."""
        saved = await self._engines.saved_models()
        if not saved.by_folder:
            return []
        return await run_off_loop_if_large(prompt, lambda: list(saved_model_problems(prompt, catalog, saved)))

    def _unlisted_models(self, prompt: Prompt) -> list[Problem]:
        """Return the missing models that ComfyUI would not report, by the last known catalog."""
        catalog = self._engines.known_catalog
        if catalog is None or self._info is None or self._info.lenient:
            return []
        present_files = {need.file for need in needed_models(prompt, catalog) if self._models.is_present(need)}
        problems = skipped_model_problems(prompt, catalog, AssumeUploads())
        return [problem for problem in problems if problem.file not in present_files]

    async def _fetch_models(self, prompt: Prompt, report: ValidationReport, *, strict: bool) -> ValidationReport:
        """Return the report after missing models were fetched. Raises ModelsDownloading and ModelsMissing."""
        missing = report.missing
        fetchable = [need for need in report.models if need not in report.present_models and need.source]
        if missing and report.problems and self._models.is_fetching(missing):
            message = "models of this workflow are being downloaded to this worker"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)
        if not fetchable or not self._models.on_demand or any(need.source is None for need in missing):
            return report
        await self._models.fetch(fetchable, self._models_wait_s)
        return await self.report(prompt, strict=strict) or report


def _reject(problems: Sequence[Problem], kind: type[ClientError] = InvalidWorkflow) -> None:
    """Raise an error that lists the problems, if there are any."""
    if problems:
        count = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise kind(
            f"{_location(problems[0])}{problems[0].message}{count}", [error_detail(problem) for problem in problems]
        )


def _location(problem: Problem) -> str:
    return f"node {problem.node_id} ({problem.node_title}): " if problem.node_id else ""


def _file_check(info: EngineInfo, config: EngineConfig, coming: Collection[str] | None) -> FileCheck:
    """Return the check for input files. With `coming`, it looks into ComfyUI's folders if they can be reached.

    A ComfyUI that this worker starts has the worker's working directory.
    """
    if info.lenient:
        return AssumeFiles()
    if coming is None or config.input is None:
        return AssumeUploads()
    working_folder = Path() if config.command else None
    folders = {"input": config.input, "output": config.output, "temp": config.temp}
    return LocalFiles({name: path for name, path in folders.items() if path is not None}, working_folder, coming)


async def _check(workflow: object, catalog: Catalog, files: FileCheck, editors_file: object) -> CheckResult:
    return await run_off_loop_if_large(workflow, lambda: check(workflow, catalog, files, editors_file))


def _input_of(problem: Problem) -> tuple[str | None, str | None, str]:
    return problem.node_id, problem.input, problem.kind


def _affected_classes(problems: Sequence[Problem]) -> set[str]:
    """Return the classes with problems, and those that list the models which a problem misses."""
    skipped = any(problem.kind == SKIPPED for problem in problems)
    return {problem.class_type for problem in problems if problem.class_type} | (LISTS if skipped else set())


def _is_certain(problem: Problem, prompt: Prompt, catalog: Catalog, version: str, *, strict: bool) -> bool:
    return not strict if problem.kind == SKIPPED else is_certain(problem, prompt, catalog, version)
