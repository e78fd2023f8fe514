"""Decides whether a machine is slower than others with the same GPU, and whether the worker retires it for that.

The speed of an engine is compared with what was learned about its GPU class. Retiring a machine needs much more
evidence than noticing that it is slow, because what was learned may be wrong, and then all machines of a fleet look
slow at the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from worker.errors import StartupError

TRUSTED_RUNS = 30
"""Runs behind the imported priors of a GPU class from which a machine can be retired."""
JUDGED_NODES = 20
"""Nodes that an engine must have run with loaded models before its machine can be retired."""
NOTICED_NODES = 5
"""Nodes in a row that must be slow, or fast again, until that is noticed."""
LARGEST_MIN_PERF = 0.8
"""Machines of one GPU class differ by more than the rest without any fault."""
REPORTING_SHARE = 0.5
"""Share of all machines that may be retired, chosen by the UUID of their GPUs."""
SPREAD = 5.0
"""The machines are retired after 1 to 1 + SPREAD times the shortest time, so that not all end at once."""


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When an engine counts as slow: if it needs `slow_factor` times as long as expected for `slow_after_s` seconds.

    `min_perf` is the speed, relative to the GPU class, below which the machine is retired. 0 means never. Raises
    StartupError for limits with which healthy machines would count as slow.
    """

    slow_factor: float = 1.5
    slow_after_s: float = 300.0
    min_perf: float = 0.0

    def __post_init__(self) -> None:
        if not self.slow_factor > 1:
            raise StartupError(f"WORKER_SLOW_FACTOR={self.slow_factor:g} must be above 1, which is the usual speed")
        if not 0 <= self.min_perf <= LARGEST_MIN_PERF:
            raise StartupError(
                f"WORKER_MIN_PERF={self.min_perf:g} must be from 0 (off) to {LARGEST_MIN_PERF:g}, because machines with"
                " the same GPU differ by some 10 % without any fault"
            )


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """How many times as long as expected nodes take on an engine, and how many imported runs say what to expect."""

    slowdown: float
    imported_runs: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """An engine is found to be slow, or not any more."""

    engine: str
    slow: bool
    slowdown: float


@dataclass(slots=True)
class _EngineHealth:
    """The speed of an engine after its last node. `other_since` and `other_nodes` describe what may be a change."""

    nodes: int = 0
    speed: EngineSpeed = EngineSpeed(1.0)
    slow: bool = False
    other_since: float | None = None
    other_nodes: int = 0

    def add(self, speed: EngineSpeed, limits: HealthLimits, now: float) -> bool:
        """Record the speed after a node. Return whether the engine has changed between slow and not slow.

        Several nodes over a time must agree.
        """
        self.nodes += 1
        self.speed = speed
        if (speed.slowdown >= limits.slow_factor) == self.slow:
            self.other_since, self.other_nodes = None, 0
            return False
        self.other_since = now if self.other_since is None else self.other_since
        self.other_nodes += 1
        if self.other_nodes < NOTICED_NODES or now - self.other_since < limits.slow_after_s:
            return False
        self.slow = not self.slow
        self.other_since, self.other_nodes = None, 0
        return True

    @property
    def perf(self) -> float:
        """Speed relative to the GPU class. Without enough evidence the engine counts as fast."""
        judged = self.nodes >= JUDGED_NODES and self.speed.imported_runs >= TRUSTED_RUNS
        return min(1.0, 1.0 / self.speed.slowdown) if judged else 1.0


class MachineHealth:
    """The health of a machine's engines. Add the speed of an engine after each node that it ran with loaded models.

    `retirement_delay` returns the seconds for which the machine must be too slow until it is retired, None for never. A
    machine is retired at most once.
    """

    def __init__(
        self,
        limits: HealthLimits,
        engines: Iterable[str],
        retirement_delay: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._engines = {engine: _EngineHealth() for engine in engines}
        self._retirement_delay = retirement_delay
        self._too_slow_since: float | None = None
        self._retired = False

    @property
    def slow_engines(self) -> Mapping[str, float]:
        """The slowdown of each engine that is slow."""
        return {name: engine.speed.slowdown for name, engine in self._engines.items() if engine.slow}

    @property
    def slowdowns(self) -> Mapping[str, float]:
        """The slowdown of each engine that has run a node with loaded models."""
        return {name: engine.speed.slowdown for name, engine in self._engines.items() if engine.nodes}

    @property
    def perf(self) -> float:
        """Mean speed of the engines relative to their GPU classes: a machine with one slow GPU of eight is not slow."""
        return sum(engine.perf for engine in self._engines.values()) / len(self._engines) if self._engines else 1.0

    def add(self, name: str, speed: EngineSpeed, now: float) -> SpeedChange | None:
        """Record the speed of an engine after a node. Return the change if it is found to be slow or not any more."""
        engine = self._engines.setdefault(name, _EngineHealth())
        changed = engine.add(speed, self._limits, now)
        if self.perf >= self._limits.min_perf:
            self._too_slow_since = None
        elif self._too_slow_since is None:
            self._too_slow_since = now
        return SpeedChange(name, engine.slow, speed.slowdown) if changed else None

    def is_retired(self, now: float) -> bool:
        """Return whether the machine has been too slow for long enough. Later calls return False."""
        if self._retired or self._too_slow_since is None:
            return False
        delay_s = self._retirement_delay()
        self._retired = delay_s is not None and now - self._too_slow_since >= delay_s
        return self._retired


def retirement_delay(uuids: Iterable[str], shortest_s: float) -> float | None:
    """Return the seconds for which a machine with these GPUs must be too slow until it is retired, or None for never.

    Half of all machines are never retired, and the others at different times. So if the priors of a fleet are wrong,
    most of it goes on working, and the machines that are rented instead are not retired without end.
    """
    names = sorted(uuids)
    if not names:  # a machine that cannot be told from others
        return None
    digest = hashlib.sha256(" ".join(names).encode()).digest()
    chance = int.from_bytes(digest[:8]) / 2**64
    if chance >= REPORTING_SHARE:
        return None
    return shortest_s * (1 + SPREAD * chance / REPORTING_SHARE)
