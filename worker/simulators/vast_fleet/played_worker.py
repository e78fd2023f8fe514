"""One worker of a replay: its process, and the stages of its life as an account lists them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router import LocalVast
from worker.simulators.vast_router.local_fleet import start_worker, stop_process

SILENCE_S = 30.0
"""Real seconds without a report after which a worker counts as lost, as the router's."""


class WorkerStage(StrEnum):
    """The stages of a worker's life."""

    STARTING = auto()
    """The process starts, or the boot time of the trace is not over."""
    READY = auto()
    """The router gives it requests."""
    DRAINING = auto()
    """It finishes its jobs, and then its process ends."""
    INACTIVE = auto()
    """It has no process, but its state is kept, so that it starts again faster."""
    ENDED = auto()
    """It was destroyed, or its process died."""


@dataclass(frozen=True, slots=True)
class WorkerHost:
    """Where the processes run: the router that they report to, their environment, and the folder of their state."""

    vast: LocalVast
    env: Mapping[str, str]
    folder: Path

    def state(self, number: int) -> Path:
        """Return the state folder of a worker."""
        return self.folder / f"worker-{number}"

    def command(self, number: int) -> Sequence[str]:
        """Return the arguments of `comfy-worker` for a worker."""
        address = ("--host", "127.0.0.1", "--port", "0")
        return ("serve", "--platform", "vast", "--comfyui", "embedded", *address, "--state", str(self.state(number)))


@dataclass(slots=True)
class PlayedWorker:
    """A worker. Times are seconds of the trace."""

    number: int
    stage: WorkerStage = WorkerStage.STARTING
    ready_at_s: float = 0.0
    late_s: float = 0.0
    """How much later than its boot time says it was ready."""
    pid: int = 0
    """Process id of its process, or of its last one."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while there is a process, so that the next one does not find the state folder in use."""

    @property
    def is_active(self) -> bool:
        """Whether it is ready or starting."""
        return self.stage in (WorkerStage.STARTING, WorkerStage.READY)

    def stop(self) -> None:
        """End the process once its jobs are done. It gets no more of them."""
        self.stage = WorkerStage.DRAINING
        self._stopping.set()

    async def live(self, host: WorkerHost, clock: TraceClock, boot_s: float) -> None:
        """Start the process, and give it requests `boot_s` seconds later. Return when the process has ended.

        The worker is inactive then, or has ended if the process died.
        """
        self.stage, due_s = WorkerStage.STARTING, clock.now_s + boot_s
        self._stopping.clear()
        async with self._process:
            host.vast.router.remove(self.number)
            member = await start_worker(host.vast, self.number, host.command(self.number), host.env, host.folder)
            self.pid = member.process.pid
            try:
                is_stopped = await _first(self._serve(host.vast, clock, due_s), member.process.wait()) == 0
                self.stage = WorkerStage.INACTIVE if is_stopped else WorkerStage.ENDED
            finally:
                # A client that was given a dead worker again would ask for another one without end.
                host.vast.router.remove(self.number)
                await stop_process(member.process)

    async def _serve(self, vast: LocalVast, clock: TraceClock, due_s: float) -> None:
        """Return when the worker was stopped and has no more jobs."""
        await _first(self._take_requests(vast, clock, due_s), self._stopping.wait())
        await self._stopping.wait()
        vast.router.pause(self.number)
        members = vast.router.fleet.members
        await vast.record.until(lambda _: self.number not in members or not members[self.number].requests, None)

    async def _take_requests(self, vast: LocalVast, clock: TraceClock, due_s: float) -> None:
        """Give the worker requests once it has reported itself as loaded and its boot time is over."""
        members = vast.router.fleet.members

        def is_loaded() -> bool:
            member = members.get(self.number)
            return member is not None and member.is_ready(time.monotonic(), SILENCE_S)

        await vast.record.until(lambda _: is_loaded(), None)
        await clock.sleep_until(due_s)
        self.stage, self.ready_at_s = WorkerStage.READY, clock.now_s
        self.late_s = max(0.0, self.ready_at_s - due_s)
        vast.router.resume(self.number)


async def _first(*waits: Coroutine[Any, Any, object]) -> int:
    """Run coroutines until the first one has ended, cancel the others, and return the index of the first one.

    If it raises an exception, so does this function.
    """
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    ended = next(task for task in tasks if task in done)
    await ended
    return tasks.index(ended)
