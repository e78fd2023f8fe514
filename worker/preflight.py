"""A workflow looked at before it may wait for the GPU: by the engine's own catalog, and with its models in place."""

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
"""Longer no request waits for the engine's catalog: then ComfyUI has the word."""


class Preflight:
    """Refuses what ComfyUI would certainly refuse; where the catalog can't be had, the engine decides.

    A request waits at most `models_wait_s` for its models; None: as long as they take.
    """

    def __init__(self, engines: EnginePool, models: Models, models_wait_s: float | None = None) -> None:
        self._engines = engines
        self._models = models
        self._models_wait_s = models_wait_s
        self._info: EngineInfo | None = None
        """What the engine said of itself the last time."""

    @asynccontextmanager
    async def admit(self, prompt: Prompt, saved: object = None, *, strict: bool = False) -> AsyncIterator[float]:
        """Inside, a job of so much work may be made of it: its models are there, fetched where allowed, and stay.

        `saved` is what the editor saved of the workflow: it names the packs of its nodes. With `strict` only what
        ComfyUI would refuse is refused.

        Raises InvalidWorkflow and ModelsMissing, with all that is wrong; ModelsDownloading.
        """
        found = await self.report(prompt, saved=saved, strict=strict)
        if found is None:
            saved = saved_model_problems(prompt, bundled_catalog(), await self._engines.saved_models())
            _refuse((*graph_problems(prompt), *saved))
            _refuse([] if strict else self._skipped(prompt), ModelsMissing)
            yield workload(prompt)
            return
        if not found.models:
            _refuse(found.problems)
            yield found.workload
            return
        with self._models.protect(found.models):
            here = len(found.present_models)
            if found.valid or found.only_models_missing:
                found = await self._with_models(prompt, found, strict=strict)
            _refuse(found.problems, ModelsMissing if found.only_models_missing else InvalidWorkflow)
            self._models.count_present(here)
            yield found.workload

    async def report(
        self,
        workflow: object,
        known: Downloads | None = None,
        saved: object = None,
        coming: Collection[str] | None = None,
        *,
        strict: bool = False,
    ) -> ValidationReport | None:
        """All that is known of a workflow, None while the engine's catalog can't be had. `known` are more downloads.

        With `strict` what ComfyUI would take is no problem. Input files are taken for present; where `coming` is given,
        only those, and what ComfyUI itself would find.
        """
        try:
            async with asyncio.timeout(CATALOG_WAIT_S):
                return await self._report(
                    workflow, {**(known or {}), **self._models.downloads}, saved, coming, strict=strict
                )
        except (EngineUnavailable, TimeoutError):
            log.info("the engine's catalog can't be had, so ComfyUI itself checks the workflow")
            return None

    async def explain_missing_classes(self, error: CannotConvert, saved: object) -> CannotConvert:
        """Return the error with the reason of each missing class whose pack the engine could not import."""
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
        """Raises EngineUnavailable."""
        if not self._engines.connected:
            raise EngineUnavailable("ComfyUI is not connected")
        info = self._info = await self._engines.info()
        catalog = await self._engines.catalogs.current()
        files = _files(info, self._engines.configs[0], coming)
        found = await _checked(workflow, catalog, files, editors_file)
        doubted = _classes(found.problems)
        if isinstance(files, LocalFiles):
            doubted |= {node["class_type"] for node in found.prompt.values()} & set(catalog)
        if doubted or found.problems:
            # Its files, or its packs, may have come since the catalog was read, or gone.
            catalog = await self._engines.catalogs.refreshed(doubted)
            found = await _checked(workflow, catalog, files, editors_file)
        others = await self._models_of_others(found.prompt, catalog)
        theirs, known_already = set(map(_input, others)), set(map(_input, found.problems))
        if (problems := found.problems) and (failed := self._engines.failed_packs):
            problems = await name_failed_packs(problems, failed, editors_file, lambda problem: problem.kind == MISSING)
        problems = (*problems, *(problem for problem in others if _input(problem) not in known_already))
        certain_of = partial(_certain, prompt=found.prompt, catalog=catalog, version=info.version, strict=strict)
        models, units = await run_off_loop_if_large(
            found.prompt, lambda: (needed_models(found.prompt, catalog, known), workload(found.prompt, catalog))
        )
        return build_report(
            replace(found, problems=problems),
            models,
            units,
            self._models.is_present,
            lambda problem: _input(problem) in theirs or certain_of(problem),
        )

    async def _models_of_others(self, prompt: Prompt, catalog: Catalog) -> list[Problem]:
        """Return the problems of inputs that name models which other jobs saved."""
        saved = await self._engines.saved_models()
        return (
            await run_off_loop_if_large(prompt, lambda: list(saved_model_problems(prompt, catalog, saved)))
            if saved.by_folder
            else []
        )

    def _skipped(self, prompt: Prompt) -> list[Problem]:
        """What ComfyUI would not say, by what is known of it while its catalog can't be had."""
        catalog = self._engines.known_catalog
        if catalog is None or self._info is None or self._info.lenient:
            return []
        here = {need.file for need in needed_models(prompt, catalog) if self._models.is_present(need)}
        found = skipped_model_problems(prompt, catalog, AssumeUploads())
        return [problem for problem in found if problem.file not in here]

    async def _with_models(self, prompt: Prompt, found: ValidationReport, *, strict: bool) -> ValidationReport:
        """The report after its models have come. Raises ModelsDownloading, ModelsMissing."""
        missing = found.missing
        absent = [need for need in found.models if need not in found.present_models and need.source]
        if missing and found.problems and self._models.is_fetching(missing):
            message = "models of this workflow are on their way to this worker"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)
        if not absent or not self._models.on_demand or any(need.source is None for need in missing):
            return found
        await self._models.fetch(absent, self._models_wait_s)
        return await self.report(prompt, strict=strict) or found


def _refuse(problems: Sequence[Problem], kind: type[ClientError] = InvalidWorkflow) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise kind(f"{_place(problems[0])}{problems[0].message}{more}", [error_detail(problem) for problem in problems])


def _place(problem: Problem) -> str:
    return f"node {problem.node_id} ({problem.node_title}): " if problem.node_id else ""


def _files(info: EngineInfo, config: EngineConfig, coming: Collection[str] | None) -> FileCheck:
    """With `coming`, the files of a ComfyUI whose folders can be reached from here.

    One that this worker starts runs in the worker's own directory.
    """
    if info.lenient:
        return AssumeFiles()
    if coming is None or config.input is None:
        return AssumeUploads()
    working = Path() if config.command else None
    folders = {"input": config.input, "output": config.output, "temp": config.temp}
    return LocalFiles({name: path for name, path in folders.items() if path is not None}, working, coming)


async def _checked(workflow: object, catalog: Catalog, files: FileCheck, editors_file: object) -> CheckResult:
    return await run_off_loop_if_large(workflow, lambda: check(workflow, catalog, files, editors_file))


def _input(problem: Problem) -> tuple[str | None, str | None, str]:
    return problem.node_id, problem.input, problem.kind


def _classes(problems: Sequence[Problem]) -> set[str]:
    """Those that problems are about, and those that list what a problem misses."""
    skipped = any(problem.kind == SKIPPED for problem in problems)
    return {problem.class_type for problem in problems if problem.class_type} | (LISTS if skipped else set())


def _certain(problem: Problem, prompt: Prompt, catalog: Catalog, version: str, *, strict: bool) -> bool:
    return not strict if problem.kind == SKIPPED else is_certain(problem, prompt, catalog, version)
