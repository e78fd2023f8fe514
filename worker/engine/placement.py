"""Which waiting job goes to which engine, and when. Plain functions; nothing is awaited here.

Jobs start in the order of the queue, each on the engine that is expected to finish it first. The jobs in the queue are
planned together: where each goes to the engine that ends it first, whatever comes behind it, engines load models that
lie in another one already. Measured in the instances of `tests/engine/test_placement.py`: a burst then takes 1.2 times
as long as with the best assignment, and planned together 1.01 times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

AHEAD_S = 2.0
"""With several engines a job is handed to one only when less than this is before it, and it can still go elsewhere."""
WINDOW, LOOKED_AT = 12, 48
"""Jobs of the queue that are planned together, and how many of it are looked at in all."""
WIDTH = 32
"""Plans that are kept while one job after the other is added to each."""


class Placeable(Protocol):
    """A job that waits. `models` are names of what has to be loaded for it."""

    @property
    def models(self) -> tuple[str, ...]: ...


P = TypeVar("P", bound=Placeable)


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine has before it.

    `queued_s` are seconds until its jobs have ended, `places` how many more it takes, `used` the models of its jobs,
    the most recent last: what is loaded when they have ended.
    """

    name: str
    queued_s: float = 0.0
    places: int = 1
    used: tuple[str, ...] = ()


Seconds = Callable[[P, EngineLoad], float]


def next_jobs(
    jobs: Sequence[P], engines: Sequence[EngineLoad], seconds: Seconds[P], load_seconds: Seconds[P]
) -> list[tuple[P, str]]:
    """Return the jobs of the queue that start now, each with the name of its engine.

    `seconds` is how long a job runs on an engine, `load_seconds` how long that loads before, by what it `used` last.
    """
    loads = {engine.name: engine for engine in engines}
    ahead_s = AHEAD_S if len(engines) > 1 else math.inf
    blocked = {name for name, load in loads.items() if not _takes(load, ahead_s)}
    due: list[tuple[P, str]] = []
    for start in range(0, min(len(jobs), LOOKED_AT), WINDOW):
        if len(blocked) == len(loads):
            break
        window = jobs[start : start + WINDOW]
        for job, name in zip(window, plan(window, list(loads.values()), seconds, load_seconds), strict=True):
            load = loads[name]
            if name not in blocked and _takes(load, ahead_s):
                due.append((job, name))
            else:
                blocked.add(name)  # those behind it wait, too
            loads[name] = _with_job(load, job, seconds(job, load) + load_seconds(job, load))
    return due


def _takes(load: EngineLoad, ahead_s: float) -> bool:
    return load.places > 0 and load.queued_s <= ahead_s


def plan(jobs: Sequence[P], engines: Sequence[EngineLoad], seconds: Seconds[P], load_seconds: Seconds[P]) -> list[str]:
    """Return the engine of each job, so that all end soon and each ends soon.

    A beam search over the jobs in their order. For one job this is the engine that is expected to finish it first.
    """
    if len(engines) == 1:
        return [engines[0].name] * len(jobs)
    times = _Times(seconds, load_seconds)
    plans = [_Plan(0.0, 0.0, tuple(engines), ())]
    for job in jobs:
        longer: dict[tuple[EngineLoad, ...], _Plan] = {}
        for shorter in plans:
            for number, load in enumerate(shorter.loads):
                one = _extended(shorter, number, times.after(job, load), len(jobs))
                known = longer.get(one.loads)
                if known is None or one.cost < known.cost:
                    longer[one.loads] = one
        plans = sorted(longer.values(), key=lambda one: one.cost)[:WIDTH]
    return [engines[number].name for number in plans[0].engines]


@dataclass(frozen=True, slots=True)
class _Plan:
    """`engines` are the numbers of those that the first jobs go to, `ends_s` is the sum of the times of their ends."""

    cost: float
    ends_s: float
    loads: tuple[EngineLoad, ...]
    engines: tuple[int, ...]


def _extended(shorter: _Plan, number: int, load: EngineLoad, jobs: int) -> _Plan:
    """The last end counts as often as there are jobs: the ends of single jobs alone would load models too often."""
    loads = (*shorter.loads[:number], load, *shorter.loads[number + 1 :])
    ends_s = shorter.ends_s + load.queued_s
    last_s = max(one.queued_s for one in loads)
    return _Plan(last_s * jobs + ends_s, ends_s, loads, (*shorter.engines, number))


class _Times(Generic[P]):
    """Remembers what an engine has before it once a job was added: plans share most of these."""

    def __init__(self, seconds: Seconds[P], load_seconds: Seconds[P]) -> None:
        self._seconds = seconds
        self._load_seconds = load_seconds
        self._after: dict[tuple[int, EngineLoad], EngineLoad] = {}

    def after(self, job: P, load: EngineLoad) -> EngineLoad:
        key = id(job), load
        if key not in self._after:
            self._after[key] = _with_job(load, job, self._seconds(job, load) + self._load_seconds(job, load))
        return self._after[key]


def _with_job(load: EngineLoad, job: Placeable, seconds: float) -> EngineLoad:
    used = (*(name for name in load.used if name not in job.models), *job.models)
    return replace(load, queued_s=load.queued_s + seconds, places=load.places - 1, used=used)
