"""The load and the speed that the worker reports: `cur_load` and `max_perf`. Their quotient is the seconds to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from worker.load.throughput import Throughput
from worker.platforms.vast.settings import RunningJobs

BUSY_S = 1.0
"""Seconds that a running job counts at most, with `RunningJobs.EXCESS`, while no job waits behind it."""
SHORT_S = 0.01
"""Seconds of waiting work below which no job waits: a sum and its parts may differ by a rounding error."""


class RemainingWork(Protocol):
    """Predictions of the seconds that the jobs of a worker still take, by the name of the engine.

    `alive` are the names of the engines that run jobs.
    """

    alive: Collection[str]

    def remaining_by_engine(self) -> Mapping[str, float]:
        """Return the seconds of all jobs that have not run to their end, each on the engine where it is expected.

        Nodes that still run although their jobs have ended are included.
        """

    def running_by_engine(self) -> Mapping[str, float]:
        """Return the seconds of the jobs that run now. They are part of `remaining_by_engine`."""


def counted_seconds(remaining_s: float, running_s: float, running: RunningJobs) -> float:
    """Return the seconds of an engine's jobs that count as load. `running_s` of the `remaining_s` run now.

    With EXCESS the running job counts only where it exceeds what one worker can do: while other jobs wait for it. Alone
    it counts at most BUSY_S, which a router needs to prefer an idle worker.
    """
    waiting_s = remaining_s - running_s
    if running is RunningJobs.NONE:
        return max(waiting_s, 0.0)
    if running is RunningJobs.EXCESS and waiting_s < SHORT_S:
        return min(remaining_s, BUSY_S)
    return remaining_s


@dataclass(slots=True)
class ReportedLoad:
    """Computes load and speed when they are read."""

    estimates: RemainingWork
    throughput: Throughput
    running: RunningJobs
    clock: Callable[[], float] = time.monotonic
    _arriving: dict[object, float] = field(default_factory=dict)

    @property
    def max_perf(self) -> float:
        """Units a second of the engines that are alive."""
        return self.throughput.total(self.estimates.alive, self.clock())

    @property
    def engine_perf(self) -> float:
        """Units a second of one engine: the mean of those that are alive. One job can use no more."""
        return self.max_perf / max(len(self.estimates.alive), 1)

    @property
    def cur_load(self) -> float:
        """Units that are still to do: the seconds of each engine's jobs, times the speed of the engine.

        Requests whose job does not exist yet, because its models are downloaded or its files arrive, count with their
        units.
        """
        now, running_s = self.clock(), self.estimates.running_by_engine()
        units = sum(
            counted_seconds(seconds, running_s.get(engine, 0.0), self.running)
            * self.throughput.units_per_s(engine, now)
            for engine, seconds in self.estimates.remaining_by_engine().items()
        )
        return units + sum(self._arriving.values())

    @contextmanager
    def arriving(self, units: float) -> Iterator[None]:
        """Count a request as load while the context lasts, until its job counts."""
        key = object()
        self._arriving[key] = units
        try:
            yield
        finally:
            del self._arriving[key]
