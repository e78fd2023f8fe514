"""One worker of a replay: its process, and the states of its life as an account lists them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from worker.fleet.simulation.life import LifeInterval, LifeState
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_fleet.worker_host import WorkerHost
from worker.simulators.vast_router.local_fleet import FleetMember, start_worker, stop_process

SILENCE_S = 30.0
"""Real seconds without a report after which a worker counts as lost, as the router's."""
SERVED, DIED = 0, 1
"""What ended a process, by the order of the waits: its jobs were done after a stop, or it died."""
BOOTING = (LifeState.CREATING, LifeState.LOADING, LifeState.STARTING)


@dataclass(frozen=True, slots=True)
class BootPlan:
    """A start: its first state, and the seconds of the trace until the worker is ready.

    A worker that is created begins to load after `creating_s` of them.
    """

    state: LifeState
    seconds: float
    creating_s: float = 0.0


@dataclass(slots=True)
class PlayedWorker:
    """A worker. Times are seconds of the trace.

    Attributes:
        number: Number of the worker, from 0.
        state: What it does, None once it is gone.
        since_s: When it entered the state.
        is_spare: Whether it is stopped as soon as it has been created.
        late_s: The longest time by which it was ready later than planned, because its process needed longer.
        has_failed: Whether its process ended without a stop.
        member: Its process, or its last one.
        booted: Set while it is not booting.
        intervals: Its former states, in order.
    """

    number: int
    state: LifeState | None = None
    since_s: float = 0.0
    is_spare: bool = False
    late_s: float = 0.0
    has_failed: bool = False
    member: FleetMember | None = None
    booted: asyncio.Event = field(default_factory=asyncio.Event)
    intervals: list[LifeInterval] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while there is a process, so that the next one does not find the state folder in use."""

    @property
    def container_id(self) -> int:
        """The worker's id at the router, which has no 0."""
        return self.number + 1

    @property
    def is_booting(self) -> bool:
        """Whether it is being created, loaded or started."""
        return self.state in BOOTING

    def enter(self, state: LifeState | None, now_s: float) -> None:
        """Change the state. None means that the worker is gone."""
        if self.state is not None and now_s > self.since_s:
            self.intervals.append(LifeInterval(self.state, self.since_s, now_s))
        self.state, self.since_s = state, now_s
        if self.is_booting:
            self.booted.clear()
        else:
            self.is_spare = False
            self.booted.set()

    def stop(self, now_s: float) -> None:
        """Give the worker no more requests, and end its process once its jobs are done."""
        self.enter(LifeState.DRAINING, now_s)
        self._stopping.set()

    def end(self, now_s: float) -> None:
        """Destroy the worker at once, with its process."""
        self.enter(None, now_s)
        self._ended.set()

    def keep(self, host: WorkerHost, now_s: float) -> None:
        """Give a draining worker requests again."""
        self.enter(LifeState.READY, now_s)
        self._stopping.clear()
        host.vast.router.resume(self.container_id)

    async def live(self, host: WorkerHost, clock: TraceClock, boot: BootPlan) -> None:
        """Start the process, and give it requests after the boot time. Return when the process has ended.

        The worker has entered the first state of the boot. It is inactive at the end, or gone if the process died. A
        spare worker is inactive after its boot time.
        """
        router, began_s = host.vast.router, clock.now_s
        self._stopping.clear()
        async with self._process:
            if self._ended.is_set():
                return
            router.remove(self.container_id)
            command = host.command(self.container_id)
            self.member = await start_worker(host.vast, self.container_id, command, host.env, host.folder)
            try:
                served = self._serve(host, clock, boot, began_s)
                ended = await _first(served, self.member.process.wait(), self._ended.wait())
                if ended == DIED:
                    self.has_failed = True
                self.enter(LifeState.INACTIVE if ended == SERVED else None, clock.now_s)
            finally:
                # A client that was given a dead worker again would ask for another one without end.
                router.remove(self.container_id)
                await stop_process(self.member.process)

    async def _serve(self, host: WorkerHost, clock: TraceClock, boot: BootPlan, began_s: float) -> None:
        """Return when the worker was stopped and has no more jobs."""
        vast, members = host.vast, host.vast.router.fleet.members
        await _first(self._boot(host, clock, boot, began_s), self._stopping.wait())
        while True:
            await self._stopping.wait()
            vast.router.pause(self.container_id)
            await vast.record.until(
                lambda _: (
                    not self._stopping.is_set()
                    or self.container_id not in members
                    or not members[self.container_id].requests
                ),
                timeout_s=None,
            )
            if self._stopping.is_set():
                return

    async def _boot(self, host: WorkerHost, clock: TraceClock, boot: BootPlan, began_s: float) -> None:
        """Wait until the process is loaded and the boot time is over. Give the worker requests, or stop a spare one."""
        if boot.creating_s:
            await clock.sleep_until(began_s + boot.creating_s)
            self.enter(LifeState.LOADING, clock.now_s)
        members, due_s = host.vast.router.fleet.members, began_s + boot.seconds

        def is_loaded() -> bool:
            member = members.get(self.container_id)
            return member is not None and member.is_ready(time.monotonic(), SILENCE_S)

        await host.vast.record.until(lambda _: is_loaded(), timeout_s=None)
        await clock.sleep_until(due_s)
        self.late_s = max(self.late_s, clock.now_s - due_s)
        if self.is_spare:
            self._stopping.set()
        else:
            self.enter(LifeState.READY, clock.now_s)
            host.vast.router.resume(self.container_id)


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
