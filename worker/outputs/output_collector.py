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

OnStored = Callable[[Output], None]
RETRY_FOR_S, PAUSE_S = 30.0, 0.5
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
    """Collects the outputs of a run. A file is stored as soon as its node reports it, while the next nodes run.

    `on_stored` is called with each output that is stored.
    """

    def __init__(
        self,
        outputs: Outputs,
        job: Job,
        on_stored: OnStored,
        prompt: Prompt | None = None,
        catalog: Catalog | None = None,
        partial_run: PartialRun = PartialRun(),
    ) -> None:
        self._outputs = outputs
        self._job = job
        self._on_stored = on_stored
        self.prompt = prompt or {}
        self._partial_run = partial_run
        self._run_files = RunFiles(partial(outputs.tracker_of, job), self.prompt, catalog)
        self._collected_items: set[tuple[str, FileRef | ReportedText | ReportedValue]] = set()
        """Reported items with their nodes. An item under two keys of a node is one output."""
        self._has_saved_output = False
        """True if an output was saved, so that previews are not collected."""
        self._nodes_to_rerun: set[str] = set()
        """Nodes that ComfyUI answered from its cache, and that have to run again."""
        self._problems: list[OutputProblem] = []
        self._storing_tasks: list[StoringTask] = []
        self._cancelled_tasks: list[asyncio.Task[Output]] = []
        self._finished = False

    def handle_message(self, message: RunMessage) -> None:
        """Process a message of ComfyUI about the run. Images that are results are passed to `add_image`."""
        self._run_files.handle_message(message)
        if isinstance(message, Executed):
            self.node_finished(message.node, message.output)

    def node_finished(self, node_id: str, output: Mapping[str, Any]) -> None:
        """Collect the items that a node reports. Previews are collected by `finish`, unless the request keeps them."""
        self._run_files.log.reports[node_id] = output
        for report in self._record_reports(node_id, output):
            if not report.is_preview or self._job.request.keeps_previews:
                self._collect(report)

    def add_image(self, image: Preview) -> None:
        """Store an image that arrived over the WebSocket as a result."""
        self._has_saved_output = True
        self._run_files.log.nodes_with_files.add(image.node)
        self._start_storing(self._outputs.store_image(self._job, self._next_number, image), None)

    def restart(self) -> None:
        """Discard everything that was collected, and delete the stored files, because the run starts again."""
        for storing in self._storing_tasks:
            task = storing.task
            if not task.cancel() and not task.cancelled() and task.exception() is None:
                self._outputs.path(self._job, task.result()).unlink(missing_ok=True)
        self._cancelled_tasks += [storing.task for storing in self._storing_tasks]
        self._storing_tasks, self._problems = [], []
        self._collected_items.clear()
        self._has_saved_output = False
        self._nodes_to_rerun.clear()
        self._run_files.give_up()

    async def finish(self, reported: NodeOutputs) -> CollectedOutputs:
        """Collect the items that are still missing, search for unreported files, and wait until all are stored.

        Previews are collected only if no file was saved or sent. Raises DiskFull.
        """
        for node_id, output in reported.items():
            self.node_finished(node_id, output)
        written = self._run_files.find_files()
        unreported = [self._with_workflow_id(report) for report in written.unreported]
        for report in unreported:
            if not report.is_preview:
                self._collect(report)
        if not self._has_saved_output:
            reports = chain.from_iterable(self._record_reports(*item) for item in reported.items())
            for report in [*reports, *unreported]:
                self._collect(report)
        outputs = await self._wait_until_stored()
        self._finished = True
        self._add_problems(written)
        nodes_to_rerun = set(self._nodes_to_rerun)
        if self._partial_run.nodes is None:
            nodes_to_rerun |= self._run_files.lost_from_cache()
        kept = tuple(output for output in outputs if output.node_id not in nodes_to_rerun)
        problems = tuple(self._problems)
        return CollectedOutputs(kept, problems, written.files, frozenset(nodes_to_rerun), self._next_number)

    def _add_problems(self, written: WrittenByRun) -> None:
        """Add the problems of outputs that no task could store."""
        workflow_ids = self._partial_run.nodes or {}
        paths = [replace(path, node_id=workflow_ids.get(path.node_id, path.node_id)) for path in written.unknown_paths]
        self._problems += [unknown_path(self.prompt, path) for path in paths]
        nodes = self._run_files.nodes_without_report
        self._problems += [unreported_files(self.prompt, workflow_ids.get(node, node)) for node in nodes]
        nodes = self._run_files.nodes_without_image
        self._problems += [image_lost(self.prompt, workflow_ids.get(node, node)) for node in nodes]

    async def abandon(self) -> None:
        """Cancel the storing of outputs. If `finish` was not called, the files become unclaimed."""
        if not self._finished:
            self._run_files.give_up()
        for storing in self._storing_tasks:
            storing.task.cancel()
        await asyncio.gather(
            *(storing.task for storing in self._storing_tasks), *self._cancelled_tasks, return_exceptions=True
        )

    @property
    def _next_number(self) -> int:
        """The next free number for an output."""
        return self._partial_run.first + len(self._storing_tasks)

    def _record_reports(self, node_id: str, output: Mapping[str, Any]) -> list[NodeOutput]:
        """Record and return the items that a node reports. Return none if this run does not collect the node."""
        nodes = self._partial_run.nodes
        if nodes is not None and node_id not in nodes:
            return []
        reports = list(node_outputs(node_id, output, is_output=self._run_files.is_output(node_id)))
        for report in reports:
            self._run_files.record_report(report)
        return [self._with_workflow_id(report) for report in reports]

    def unknown_reports(self, reported: NodeOutputs) -> list[Executed]:
        """Return those reports of a run's result of which no message has arrived."""
        return [
            Executed(self._job.prompt_id or "", node_id, output)
            for node_id, output in reported.items()
            if node_id not in self._run_files.log.reports
        ]

    def workflow_id(self, node_id: str) -> str | None:
        """Return the id that a node has in the workflow, or None if this run does not collect the node."""
        nodes = self._partial_run.nodes
        return node_id if nodes is None else nodes.get(node_id)

    def _with_workflow_id(self, report: NodeOutput) -> NodeOutput:
        """Return the report with the id that the node has in the workflow."""
        nodes = self._partial_run.nodes
        return replace(report, node_id=nodes.get(report.node_id, report.node_id)) if nodes else report

    async def _wait_until_stored(self) -> list[Output]:
        """Wait until all outputs are stored, and return those that could be.

        A missing file becomes a problem. If its node was answered from ComfyUI's cache, the node runs again instead.
        """
        outputs: list[Output] = []
        for storing in self._storing_tasks:
            try:
                outputs.append(await storing.task)
            except (OutputMissing, EngineUnavailable, OSError) as error:
                report = storing.report
                if report is None or shortage_error(error) is not None:
                    raise
                if isinstance(error, OutputMissing) and self._is_from_cache(report):
                    self._nodes_to_rerun.add(report.node_id)
                    continue
                problem = error if isinstance(error, OutputMissing) else OutputUnreadable(f"it cannot be read: {error}")
                self._problems.append(undelivered(self.prompt, report, problem))
        return outputs

    def _is_from_cache(self, report: NodeOutput) -> bool:
        """Return True if ComfyUI answered the node from its cache, so that the node can run again."""
        return (
            self._partial_run.nodes is None
            and report.node_id in self._run_files.log.cached_nodes
            and report.node_id in self.prompt
        )

    def _may_be_replaced(self, report: NodeOutput) -> bool:
        """Return True if another job may have replaced the reported file."""
        item = report.item
        if not isinstance(item, FileRef):
            return False
        if self._run_files.can_access(item.folder):
            return self._run_files.may_be_replaced(report.node_id, item)
        return may_be_overwritten(self._job, report.node_id, item.filename)

    def _collect(self, report: NodeOutput) -> None:
        """Start to store a reported item, unless it was collected before."""
        if (report.node_id, report.item) in self._collected_items:
            return
        self._collected_items.add((report.node_id, report.item))
        if report.is_model and not self._job.request.deliver_models:
            self._problems.append(model_kept(self.prompt, report))
            return
        self._has_saved_output = self._has_saved_output or report.is_saved
        if self._is_from_cache(report) and self._may_be_replaced(report):
            self._nodes_to_rerun.add(report.node_id)
        else:
            self._start_storing(self._store_with_retries(self._next_number, report), report)

    async def _store_with_retries(self, index: int, report: NodeOutput) -> Output:
        """Store an item, and retry while the disk is full or the engine is unavailable, to keep a finished run.

        Raises the errors of `Outputs.store_item`.
        """
        give_up_at = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                return await self._outputs.store_item(self._job, index, report)
            except (OSError, EngineUnavailable) as error:
                temporary = isinstance(error, EngineUnavailable) or shortage_error(error) is not None
                if not temporary or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(PAUSE_S)

    def _start_storing(self, storing: Coroutine[None, None, Output], report: NodeOutput | None) -> None:
        """Run a coroutine that stores an output. `report` is None for an image that arrived over the WebSocket."""
        task = asyncio.create_task(storing)
        task.add_done_callback(self._notify_if_stored)
        self._storing_tasks.append(StoringTask(task, report))

    def _notify_if_stored(self, task: asyncio.Task[Output]) -> None:
        """Call `on_stored` with the result of a task that has ended, unless it failed or was cancelled."""
        if not task.cancelled() and task.exception() is None:
            self._on_stored(task.result())
