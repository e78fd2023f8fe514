"""The outputs of one run: reported ones are taken while it still runs, the others are looked for when it has ended."""

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
from worker.outputs.problems import dangling, model_kept, picture_lost, undelivered, unseen
from worker.outputs.reports import NodeOutput, Text, Value, node_outputs
from worker.outputs.run_files import RunFiles
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

Ready = Callable[[Output], None]
ROOM_S, ROOM_RETRY_S = 30.0, 0.5
"""How long a finished file waits for room on the disk, or for the engine that has it, and how often it looks."""


@dataclass(frozen=True, slots=True)
class CollectedOutputs:
    """What a run left.

    `again` are nodes that ComfyUI answered from its cache although the files are gone that they wrote: they, and no
    others, have to run again. `files` is everything that the run wrote into the engine's folders.
    """

    outputs: tuple[Output, ...]
    problems: tuple[OutputProblem, ...] = ()
    files: tuple[EngineFile, ...] = ()
    nodes_to_rerun: frozenset[str] = frozenset()
    numbered: int = 0
    """How many outputs were numbered, those included that are not there."""


@dataclass(frozen=True, slots=True)
class PartialRun:
    """The nodes of a second run that count, all if None, by the names that they have in the workflow.

    Its outputs are numbered from `first`.
    """

    nodes: Mapping[str, str] | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class Taking:
    """A file on its way into the job's folder; `report` is None for a picture that came over the WebSocket."""

    task: asyncio.Task[Output]
    report: NodeOutput | None = None


def without_previews(outputs: tuple[Output, ...], more: tuple[Output, ...]) -> tuple[Output, ...]:
    """Return those outputs of a run that count beside the ones of its second part: no previews beside a saved file."""
    if not any(output.filename and output.folder == "output" for output in more):
        return outputs
    return tuple(output for output in outputs if output.folder != "temp")


class OutputCollector:
    """Each file is taken as soon as its node reports it, at the same time as the nodes after it run."""

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
        self._files = RunFiles(partial(outputs.files, job), self.prompt, catalog)
        self._seen: set[tuple[str, FileRef | Text | Value]] = set()
        """By node: what stands under two keys is one output."""
        self._saved = False
        self._again: set[str] = set()
        """Nodes that ComfyUI answered from its cache, and that have to write once more."""
        self._problems: list[OutputProblem] = []
        self._taking: list[Taking] = []
        self._abandoned: list[asyncio.Task[Output]] = []
        self._finished = False

    def handle_message(self, message: RunMessage) -> None:
        """Follow the run. Pictures that are results are for `add_image`."""
        self._files.hear(message)
        if isinstance(message, Executed):
            self.node_finished(message.node, message.output)

    def node_finished(self, node_id: str, output: Mapping[str, Any]) -> None:
        """Take what the node reports; previews wait for `finish`."""
        self._files.log.reported[node_id] = output
        for report in self._reports(node_id, output):
            if not report.preview:
                self._take(report)

    def add_image(self, picture: Preview) -> None:
        self._saved = True
        self._files.log.with_files.add(picture.node)
        self._start(self._outputs.keep(self._job, self._next, picture), None)

    def restart(self) -> None:
        """The run was lost and comes again from its beginning: what was taken of it is in the way."""
        for taking in self._taking:
            task = taking.task
            if not task.cancel() and not task.cancelled() and task.exception() is None:
                self._outputs.path(self._job, task.result()).unlink(missing_ok=True)
        self._abandoned += [taking.task for taking in self._taking]
        self._taking, self._problems = [], []
        self._seen.clear()
        self._saved = False
        self._again.clear()
        self._files.give_up()

    async def finish(self, reported: NodeOutputs) -> CollectedOutputs:
        """Take what was not heard of, look for what was not reported, and wait for all.

        Previews count only where no file was saved or sent. Raises DiskFull.
        """
        for node_id, output in reported.items():
            self.node_finished(node_id, output)
        look = self._files.look()
        found = [self._named(report) for report in look.unreported]
        for report in found:
            if not report.preview:
                self._take(report)
        if not self._saved:
            for report in [*chain(*(self._reports(*item) for item in reported.items())), *found]:
                self._take(report)
        outputs = await self._arrived()
        self._finished = True
        names = self._part.nodes or {}
        paths = [replace(path, node_id=names.get(path.node_id, path.node_id)) for path in look.dangling]
        self._problems += [dangling(self.prompt, path) for path in paths]
        self._problems += [unseen(self.prompt, names.get(node, node)) for node in self._files.unseen]
        self._problems += [picture_lost(self.prompt, names.get(node, node)) for node in self._files.unsent]
        again = self._again | (self._files.lost_from_cache() if self._part.nodes is None else set())
        kept = tuple(output for output in outputs if output.node_id not in again)
        return CollectedOutputs(kept, tuple(self._problems), look.files, frozenset(again), self._next)

    async def abandon(self) -> None:
        """Stop what is still being taken."""
        if not self._finished:
            self._files.give_up()
        for taking in self._taking:
            taking.task.cancel()
        await asyncio.gather(*(taking.task for taking in self._taking), *self._abandoned, return_exceptions=True)

    @property
    def _next(self) -> int:
        return self._part.first + len(self._taking)

    def _reports(self, node_id: str, output: Mapping[str, Any]) -> list[NodeOutput]:
        nodes = self._part.nodes
        if nodes is not None and node_id not in nodes:
            return []
        reports = list(node_outputs(node_id, output, is_output=self._files.is_output(node_id)))
        for report in reports:
            self._files.heard(report)
        return [self._named(report) for report in reports]

    def _named(self, report: NodeOutput) -> NodeOutput:
        """By the node's name in the workflow."""
        nodes = self._part.nodes
        return replace(report, node_id=nodes.get(report.node_id, report.node_id)) if nodes else report

    async def _arrived(self) -> list[Output]:
        """Wait for all. A file that is missing is a problem, or is written again if its node came from the cache."""
        outputs: list[Output] = []
        for taking in self._taking:
            try:
                outputs.append(await taking.task)
            except (OutputMissing, EngineUnavailable, OSError) as error:
                report = taking.report
                if report is None or shortage_error(error) is not None:
                    raise
                if isinstance(error, OutputMissing) and self._from_cache(report):
                    self._again.add(report.node_id)
                    continue
                told = error if isinstance(error, OutputMissing) else OutputUnreadable(f"it can't be read: {error}")
                self._problems.append(undelivered(self.prompt, report, told))
        return outputs

    def _from_cache(self, report: NodeOutput) -> bool:
        """Whether ComfyUI did not run the node, so that it may run once more."""
        return self._part.nodes is None and report.node_id in self._files.log.cached and report.node_id in self.prompt

    def _replaceable(self, report: NodeOutput) -> bool:
        """Whether the file may be another job's by now."""
        item = report.item
        if not isinstance(item, FileRef):
            return False
        if self._files.looks_at(item.folder):
            return self._files.replaced(report.node_id, item)
        return may_be_overwritten(self._job, report.node_id, item.filename)

    def _take(self, report: NodeOutput) -> None:
        if (report.node_id, report.item) in self._seen:
            return
        self._seen.add((report.node_id, report.item))
        if report.model and not self._job.request.deliver_models:
            self._problems.append(model_kept(self.prompt, report))
            return
        self._saved = self._saved or report.saved
        if self._from_cache(report) and self._replaceable(report):
            self._again.add(report.node_id)
        else:
            self._start(self._taken(self._next, report), report)

    async def _taken(self, index: int, report: NodeOutput) -> Output:
        """A full disk and an engine that is away are waited for: the run is paid for. Raises what `take` does."""
        give_up_at = time.monotonic() + ROOM_S
        while True:
            try:
                return await self._outputs.take(self._job, index, report)
            except (OSError, EngineUnavailable) as error:
                passing = isinstance(error, EngineUnavailable) or shortage_error(error) is not None
                if not passing or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(ROOM_RETRY_S)

    def _start(self, taking: Coroutine[None, None, Output], report: NodeOutput | None) -> None:
        task = asyncio.create_task(taking)
        task.add_done_callback(self._announce)
        self._taking.append(Taking(task, report))

    def _announce(self, task: asyncio.Task[Output]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._ready(task.result())
