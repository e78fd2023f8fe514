"""Measures how many units of work each engine does in a second, from its last runs.

A platform that scales by load gets this speed. It moves slowly, so that one unusual job does not rent a machine.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

RUNS = 50
"""Number of runs that count. The runs of the benchmark are the first of them."""
GROWTH_PER_MINUTE = 1.1
"""Largest factor by which a speed rises or falls within a minute."""
ENOUGH_S = 60.0
"""Seconds of runs that determine the speed alone. If there are fewer, the speed at the start counts for the rest."""
MOST_OFF = 5.0
"""Largest factor by which a run that counts is faster or slower than the engine's present speed. The closed form can be
wrong by any factor for a node that it does not know. Units and seconds beyond the factor do not count, so that one such
job does not outweigh all others."""
SHORTEST_S, LONGEST_S = 1e-3, 7200.0
"""Seconds of a run that counts. A run outside of them was cached, or is an error of a clock."""


@dataclass(frozen=True, slots=True)
class DoneWork:
    """One run of an engine: the units of the nodes that ran, and the seconds that the run took.

    Nodes whose results ComfyUI had cached do not count, because they take no time.
    """

    units: float
    seconds: float

    @property
    def counts(self) -> bool:
        """Whether the run says something about the speed: it had work, and took a possible time."""
        is_finite = math.isfinite(self.units) and math.isfinite(self.seconds)
        return is_finite and self.units > 0 and SHORTEST_S <= self.seconds <= LONGEST_S


class EngineThroughput:
    """The speed of one engine: the units of its last runs, divided by their seconds.

    `now` is a monotonic clock in seconds. `start` is the speed to start with, by default that of `runs`, and `speed` is
    the present one, by default `start`.
    """

    def __init__(self, now: float, runs: Iterable[DoneWork] = (), start: float = 0.0, speed: float = 0.0) -> None:
        self._runs = deque((run for run in runs if run.counts), maxlen=RUNS)
        self.start = start or _units_per_s(self._runs)
        self._speed = speed or self.start
        self._moved_at = now

    @property
    def runs(self) -> tuple[DoneWork, ...]:
        """The runs that count, oldest first."""
        return tuple(self._runs)

    def record(self, run: DoneWork, now: float) -> None:
        """Add a run. A run that does not count is ignored."""
        if run.counts:
            self.units_per_s(now)  # the time until now belongs to the runs before
            self._runs.append(run)
            self.start = self.start or _units_per_s(self._runs)
            self._speed = self._speed or self.start

    def units_per_s(self, now: float) -> float:
        """Return the units a second, or 0 before the first run."""
        if self._runs:
            minutes = max(0.0, now - self._moved_at) / 60
            growth = GROWTH_PER_MINUTE ** min(minutes, LONGEST_S)
            self._speed = min(max(self._target, self._speed / growth), self._speed * growth)
        self._moved_at = max(now, self._moved_at)
        return self._speed

    @property
    def _target(self) -> float:
        """Units a second of the runs together, towards which the speed moves."""
        fastest, slowest = self._speed * MOST_OFF, self._speed / MOST_OFF
        units = sum(min(run.units, fastest * run.seconds) for run in self._runs)
        seconds = sum(min(run.seconds, run.units / slowest) for run in self._runs)
        missing_s = max(ENOUGH_S - seconds, 0.0)
        return (units + self.start * missing_s) / (seconds + missing_s)


def _units_per_s(runs: Collection[DoneWork]) -> float:
    """Return the units a second of runs together, or 0 without one."""
    seconds = sum(run.seconds for run in runs)
    return sum(run.units for run in runs) / seconds if seconds else 0.0


class Throughput:
    """The speeds of a worker's engines, by name. An engine without a speed of its own has the mean of the others.

    `now` is a monotonic clock in seconds.
    """

    def __init__(self) -> None:
        self._engines: dict[str, EngineThroughput] = {}

    def start(self, engine: str, runs: Iterable[DoneWork], now: float) -> None:
        """Set the speed of an engine to that of these runs, and forget all others."""
        self._engines[engine] = EngineThroughput(now, runs)

    def record(self, engine: str, run: DoneWork, now: float) -> None:
        """Add a run of an engine. The first one of an engine without a benchmark moves it away from the others."""
        if engine not in self._engines:
            self._engines[engine] = EngineThroughput(now, start=self.units_per_s(engine, now))
        self._engines[engine].record(run, now)

    def units_per_s(self, engine: str, now: float) -> float:
        """Return the units a second of one engine, or 0 before the first run of any engine."""
        own = self._engines[engine].units_per_s(now) if engine in self._engines else 0.0
        if own:
            return own
        speeds = [speed for other in self._engines.values() if (speed := other.units_per_s(now))]
        return sum(speeds) / len(speeds) if speeds else 0.0

    def total(self, engines: Collection[str], now: float) -> float:
        """Return the units a second of these engines together."""
        return sum(self.units_per_s(engine, now) for engine in engines)

    def saved(self, now: float) -> dict[str, object]:
        """Return the speeds and the runs of all engines as JSON, for `restore`."""
        return {
            name: {
                "start": engine.start,
                "speed": engine.units_per_s(now),
                "runs": [[run.units, run.seconds] for run in engine.runs],
            }
            for name, engine in self._engines.items()
        }

    def restore(self, saved: object, now: float) -> None:
        """Replace all speeds by those that `saved` returned. Raises ValueError, without a change, for anything else."""
        if not isinstance(saved, dict):
            raise ValueError("not an object of speeds")
        self._engines = {str(name): _restored_engine(entry, now) for name, entry in saved.items()}


def _restored_engine(entry: object, now: float) -> EngineThroughput:
    """Return the speed of one engine. Raises ValueError if the entry is not one of `Throughput.saved`."""
    match entry:
        case {"start": int() | float() as start, "speed": int() | float() as speed, "runs": list(rows)}:
            if all(math.isfinite(one) and one >= 0 for one in (start, speed)):
                return EngineThroughput(now, [_restored_run(row) for row in rows], float(start), float(speed))
    raise ValueError("not a speed of an engine")


def _restored_run(row: object) -> DoneWork:
    """Return one run. Raises ValueError if the row is not one of `Throughput.saved`."""
    match row:
        case [int() | float() as units, int() | float() as seconds]:
            return DoneWork(float(units), float(seconds))
    raise ValueError("not a run of an engine")
