"""Collection of the outputs of one run: reported files during the run, unreported files after its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from worker.engine.protocol.api import FileRef
from worker.engine.protocol.messages import Executed, Preview, RunMessage
from worker.engine.run import Outputs as NodeOutputs
from worker.errors import EngineUnavailable, OutputMissing, OutputProblem, OutputUnreadable, shortage_error
from worker.job import EngineFile, Job, Output
from worker.outputs.files import Outputs
from worker.outputs.overwriting import may_be_overwritten
from worker.outputs.problems import image_lost, model_kept, undelivered, unknown_path, unreported_files
from worker.outputs.reports import NodeOutput, ReportedText, ReportedValue, node_outputs
from worker.outputs.run_files import RunFiles, WrittenByRun
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

Ready = Callable[[Output], None]
RETRY_S, PAUSE_S = 30.0, 0.5
"""Seconds for which a file is retried if the disk is full or the engine is unavailable, and seconds between tries."""


@dataclass(frozen=True, slots=True)
class CollectedOutputs:
    """Result of collecting the outputs of a run.

    - `files`: all files that the run wrote to the engine's folders.
    - `nodes_to_rerun`: nodes that ComfyUI answered from its cache, and whose files no longer exist. Only these nodes
      have to run again.
    """

    outputs: tuple[Output, ...]
    problems: tuple[OutputProblem, ...] = ()
    files: tuple[EngineFile, ...] = ()
    nodes_to_rerun: frozenset[str] = frozenset()
    numbered: int = 0
    """The next free number for an output. Outputs that could not be stored have numbers, too."""


@dataclass(frozen=True, slots=True)
class PartialRun:
    """A second run of some nodes.

    `nodes` maps the ids of the nodes to collect to their ids in the workflow. None means all nodes. The outputs are
    numbered from `first`.
    """

    nodes: Mapping[str, str] | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class StoringTask:
    """An output that is being stored. `report` is None for an image that arrived over the WebSocket."""

    task: asyncio.Task[Output]
    report: NodeOutput | None = None


def without_previews(outputs: tuple[Output, ...], more: tuple[Output, ...]) -> tuple[Output, ...]:
    """Return the outputs of a run, without previews if its second run (`more`) has a saved file."""
    if not any(output.filename and output.folder == "output" for output in more):
        return outputs
    return tuple(output for output in outputs if output.folder != "temp")


class OutputCollector:
    """Collects the outputs of a run. A file is stored as soon as its node reports it, while the next nodes run."""

    def __init__(
        self,
        outputs: Outputs,
        job: Job,
        ready: Ready,
        prompt: Prompt | None = None,
        catalog: Catalog | None = None,
        part: PartialRun = PartialRun(),
    ) -> None:
        self._outputs = outputs
        self._job = job
        self._ready = ready
        self.prompt = prompt or {}
        self._part = part
        self._files = RunFiles(partial(outputs.engine_files, job), self.prompt, catalog)
        self._seen: set[tuple[str, FileRef | ReportedText | ReportedValue]] = set()
        """Reported items with their nodes. An item under two keys of a node is one output."""
        self._saved = False
        """True if an output was saved, so that previews are not collected."""
        self._rerun: set[str] = set()
        """Nodes that ComfyUI answered from its cache, and that have to run again."""
        self._problems: list[OutputProblem] = []
        self._tasks: list[StoringTask] = []
        self._abandoned: list[asyncio.Task[Output]] = []
        self._finished = False

    def handle_message(self, message: RunMessage) -> None:
        """Process a message of ComfyUI about the run. Images that are results are passed to `add_image`."""
        self._files.handle_message(message)
        if isinstance(message, Executed):
            self.node_finished(message.node, message.output)

    def node_finished(self, node_id: str, output: Mapping[str, Any]) -> None:
        """Collect the items that a node reports. Previews are collected by `finish`."""
        self._files.log.reports[node_id] = output
        for report in self._reports(node_id, output):
            if not report.is_preview:
                self._collect(report)

    def add_image(self, image: Preview) -> None:
        """Store an image that arrived over the WebSocket as a result."""
        self._saved = True
        self._files.log.nodes_with_files.add(image.node)
        self._start(self._outputs.store_image(self._job, self._next, image), None)

    def restart(self) -> None:
        """Discard everything that was collected, because the run was lost and starts again."""
        for storing in self._tasks:
            task = storing.task
            if not task.cancel() and not task.cancelled() and task.exception() is None:
                self._outputs.path(self._job, task.result()).unlink(missing_ok=True)
        self._abandoned += [storing.task for storing in self._tasks]
        self._tasks, self._problems = [], []
        self._seen.clear()
        self._saved = False
        self._rerun.clear()
        self._files.give_up()

    async def finish(self, reported: NodeOutputs) -> CollectedOutputs:
        """Collect the items that are still missing, search for unreported files, and wait until all are stored.

        Previews are collected only if no file was saved or sent. Raises DiskFull.
        """
        for node_id, output in reported.items():
            self.node_finished(node_id, output)
        written = self._files.find_files()
        unreported = [self._with_workflow_id(report) for report in written.unreported]
        for report in unreported:
            if not report.is_preview:
                self._collect(report)
        if not self._saved:
            for report in [*chain(*(self._reports(*item) for item in reported.items())), *unreported]:
                self._collect(report)
        outputs = await self._stored()
        self._finished = True
        self._add_problems(written)
        rerun = self._rerun | (self._files.lost_from_cache() if self._part.nodes is None else set())
        kept = tuple(output for output in outputs if output.node_id not in rerun)
        return CollectedOutputs(kept, tuple(self._problems), written.files, frozenset(rerun), self._next)

    def _add_problems(self, written: WrittenByRun) -> None:
        """Add the problems of outputs that no task could store."""
        names = self._part.nodes or {}
        paths = [replace(path, node_id=names.get(path.node_id, path.node_id)) for path in written.unknown_paths]
        self._problems += [unknown_path(self.prompt, path) for path in paths]
        nodes = self._files.nodes_without_report
        self._problems += [unreported_files(self.prompt, names.get(node, node)) for node in nodes]
        nodes = self._files.nodes_without_image
        self._problems += [image_lost(self.prompt, names.get(node, node)) for node in nodes]

    async def abandon(self) -> None:
        """Cancel the storing of outputs. If `finish` was not called, the files become unclaimed."""
        if not self._finished:
            self._files.give_up()
        for storing in self._tasks:
            storing.task.cancel()
        await asyncio.gather(*(storing.task for storing in self._tasks), *self._abandoned, return_exceptions=True)

    @property
    def _next(self) -> int:
        return self._part.first + len(self._tasks)

    def _reports(self, node_id: str, output: Mapping[str, Any]) -> list[NodeOutput]:
        """Return and record the items that a node reports, or none if the node is not collected in this run."""
        nodes = self._part.nodes
        if nodes is not None and node_id not in nodes:
            return []
        reports = list(node_outputs(node_id, output, is_output=self._files.is_output(node_id)))
        for report in reports:
            self._files.record_report(report)
        return [self._with_workflow_id(report) for report in reports]

    def _with_workflow_id(self, report: NodeOutput) -> NodeOutput:
        """Return the report with the id that the node has in the workflow."""
        nodes = self._part.nodes
        return replace(report, node_id=nodes.get(report.node_id, report.node_id)) if nodes else report

    async def _stored(self) -> list[Output]:
        """Wait until all outputs are stored.

        A missing file becomes a problem. If its node was answered from ComfyUI's cache, the node runs again instead.
        """
        outputs: list[Output] = []
        for storing in self._tasks:
            try:
                outputs.append(await storing.task)
            except (OutputMissing, EngineUnavailable, OSError) as error:
                report = storing.report
                if report is None or shortage_error(error) is not None:
                    raise
                if isinstance(error, OutputMissing) and self._from_cache(report):
                    self._rerun.add(report.node_id)
                    continue
                problem = error if isinstance(error, OutputMissing) else OutputUnreadable(f"it cannot be read: {error}")
                self._problems.append(undelivered(self.prompt, report, problem))
        return outputs

    def _from_cache(self, report: NodeOutput) -> bool:
        """Return True if ComfyUI answered the node from its cache, so that the node can run again."""
        return (
            self._part.nodes is None
            and report.node_id in self._files.log.cached_nodes
            and report.node_id in self.prompt
        )

    def _may_be_replaced(self, report: NodeOutput) -> bool:
        """Return True if another job may have replaced the reported file."""
        item = report.item
        if not isinstance(item, FileRef):
            return False
        if self._files.can_access(item.folder):
            return self._files.may_be_replaced(report.node_id, item)
        return may_be_overwritten(self._job, report.node_id, item.filename)

    def _collect(self, report: NodeOutput) -> None:
        """Start to store a reported item, unless it was collected before."""
        if (report.node_id, report.item) in self._seen:
            return
        self._seen.add((report.node_id, report.item))
        if report.is_model and not self._job.request.deliver_models:
            self._problems.append(model_kept(self.prompt, report))
            return
        self._saved = self._saved or report.is_saved
        if self._from_cache(report) and self._may_be_replaced(report):
            self._rerun.add(report.node_id)
        else:
            self._start(self._take_with_retries(self._next, report), report)

    async def _take_with_retries(self, index: int, report: NodeOutput) -> Output:
        """Store an item, and retry while the disk is full or the engine is unavailable, to keep a finished run.

        Raises the errors of `Outputs.store_item`.
        """
        give_up_at = time.monotonic() + RETRY_S
        while True:
            try:
                return await self._outputs.store_item(self._job, index, report)
            except (OSError, EngineUnavailable) as error:
                temporary = isinstance(error, EngineUnavailable) or shortage_error(error) is not None
                if not temporary or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(PAUSE_S)

    def _start(self, storing: Coroutine[None, None, Output], report: NodeOutput | None) -> None:
        task = asyncio.create_task(storing)
        task.add_done_callback(self._announce)
        self._tasks.append(StoringTask(task, report))

    def _announce(self, task: asyncio.Task[Output]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._ready(task.result())
