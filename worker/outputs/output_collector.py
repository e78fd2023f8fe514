"""The outputs of one run, taken one by one while it still runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from worker.engine.protocol.api import FileRef
from worker.engine.protocol.messages import Preview
from worker.engine.run import Outputs as NodeOutputs
from worker.errors import DiskFull
from worker.job import Job, Output
from worker.outputs.files import NodeOutput, Outputs, Text, node_outputs

Ready = Callable[[Output], None]
ROOM_S, ROOM_RETRY_S = 30.0, 0.5
"""How long a finished file waits for room on the disk, and how often it looks."""


class OutputCollector:
    """Each file is taken as soon as its node reports it, at the same time as the nodes after it run."""

    def __init__(self, outputs: Outputs, job: Job, ready: Ready) -> None:
        self._outputs = outputs
        self._job = job
        self._ready = ready
        self._seen: set[tuple[str, FileRef | Text]] = set()
        """By node: what stands under two keys is one output."""
        self._saved = False
        self._tasks: list[asyncio.Task[Output]] = []
        self._abandoned: list[asyncio.Task[Output]] = []

    def node_finished(self, node_id: str, output: dict[str, object]) -> None:
        """Take what the node reports; previews wait for `finish`."""
        for report in node_outputs(node_id, output):
            if not report.preview:
                self._take(report)

    def picture_sent(self, picture: Preview) -> None:
        self._saved = True
        self._start(self._outputs.keep(self._job, len(self._tasks), picture))

    def begin_again(self) -> None:
        """The run was lost and comes again from its beginning: what was taken of it is in the way."""
        for task in self._tasks:
            if not task.cancel() and not task.cancelled() and task.exception() is None:
                self._outputs.path(self._job, task.result()).unlink(missing_ok=True)
        self._abandoned += self._tasks
        self._tasks = []
        self._seen.clear()
        self._saved = False

    async def finish(self, reported: NodeOutputs) -> tuple[Output, ...]:
        """Take what was not heard of, and wait for all. Previews count only where no file was saved or sent.

        Raises OutputMissing, EngineUnavailable.
        """
        for node_id, output in reported.items():
            self.node_finished(node_id, output)
        if not self._saved:
            for node_id, output in reported.items():
                for report in node_outputs(node_id, output):
                    self._take(report)
        return tuple(await asyncio.gather(*self._tasks))

    async def abandon(self) -> None:
        """Stop what is still being taken."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._abandoned, return_exceptions=True)

    def _take(self, report: NodeOutput) -> None:
        if (report.node_id, report.item) not in self._seen:
            self._seen.add((report.node_id, report.item))
            self._saved = self._saved or report.saved
            self._start(self._taken(len(self._tasks), report))

    async def _taken(self, index: int, report: NodeOutput) -> Output:
        """A full disk is waited for: the run is paid for already. Raises what `Outputs.take` does."""
        give_up_at = time.monotonic() + ROOM_S
        while True:
            try:
                return await self._outputs.take(self._job, index, report)
            except OSError as error:
                if DiskFull.of(error) is None or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(ROOM_RETRY_S)

    def _start(self, taking: Coroutine[None, None, Output]) -> None:
        task = asyncio.create_task(taking)
        task.add_done_callback(self._announce)
        self._tasks.append(task)

    def _announce(self, task: asyncio.Task[Output]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._ready(task.result())
