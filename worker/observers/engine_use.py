"""How long each engine ran jobs and how long it was idle, derived from events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.events import (
    EngineConnected,
    EngineLost,
    Handlers,
    JobFinished,
    JobSubmitted,
    RunEnded,
    StateChanged,
)
from worker.job import JobRef, JobState


@dataclass(frozen=True, slots=True)
class EngineUse:
    """Seconds since the start of the worker in which an engine ran a job, and in which it was connected and ran none.

    The time in which it was not connected is in neither.
    """

    engine: str
    busy_s: float
    idle_s: float


@dataclass(slots=True)
class UseClock:
    """The times of one engine up to the moment `since`, and its state from then on."""

    since: float
    busy_s: float = 0.0
    idle_s: float = 0.0
    connected: bool = False
    running: set[str] = field(default_factory=set)
    """Folder names of the jobs that run. The start of a run may be observed before the end of the previous one."""

    def advance(self, now: float) -> None:
        """Add the time up to `now`, before a change of the state."""
        if self.connected and self.running:
            self.busy_s += now - self.since
        elif self.connected:
            self.idle_s += now - self.since
        self.since = now


class EngineUses:
    """An observer that measures the use of all engines. `clock` returns seconds of the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = clock
        self._clocks: dict[str, UseClock] = {}
        self._engine_of: dict[str, str] = {}
        """The engine that has a job, by folder name of the job."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of engines and runs."""
        return {
            EngineConnected: lambda event: self._set_connected(event.engine, connected=True),
            EngineLost: lambda event: self._set_connected(event.engine, connected=False),
            JobSubmitted: self._submitted,
            StateChanged: self._state_changed,
            RunEnded: lambda event: self._end(event.job),
            JobFinished: lambda event: self._end(event.job),
        }

    def times(self) -> tuple[EngineUse, ...]:
        """Return the times of each engine that was ever connected, up to now."""
        for clock in self._clocks.values():
            clock.advance(self._now())
        return tuple(EngineUse(name, clock.busy_s, clock.idle_s) for name, clock in sorted(self._clocks.items()))

    def _clock(self, engine: str) -> UseClock:
        """Return the times of an engine up to now, for a change of its state."""
        clock = self._clocks.setdefault(engine, UseClock(self._now()))
        clock.advance(self._now())
        return clock

    def _set_connected(self, engine: str, *, connected: bool) -> None:
        """Record that an engine was connected or lost."""
        self._clock(engine).connected = connected

    def _submitted(self, event: JobSubmitted) -> None:
        """Record that a job was sent to an engine, or removed from it."""
        self._end(event.job)
        if event.prompt_id is not None:
            self._engine_of[event.job.folder] = event.engine

    def _state_changed(self, event: StateChanged) -> None:
        """Record the start of a run."""
        engine = self._engine_of.get(event.job.folder)
        if event.state is JobState.GENERATING and engine is not None:
            self._clock(engine).running.add(event.job.folder)

    def _end(self, job: JobRef) -> None:
        """Record that a job does not run any more."""
        engine = self._engine_of.pop(job.folder, None)
        if engine is not None:
            self._clock(engine).running.discard(job.folder)
