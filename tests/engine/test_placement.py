"""Tests of the placement of jobs, compared with the best possible assignment."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import pytest

from worker.engine.placement import AHEAD_S, EngineLoad, next_jobs, plan

SPEED = {"fast": 1.0, "slow": 0.5}
PLACES = 3
"""One that runs and two prepared ones, as in the worker."""
JOBS = 11
Assignment = Sequence[str]


@dataclass(frozen=True)
class Arrival:
    """A job that arrives at second `at`, runs `work_s` on the fast engine, and needs one model."""

    at: float
    work_s: float
    models: tuple[str, ...]


@dataclass(frozen=True)
class PlacementCase:
    """Jobs with two models that do not fit into one engine together. Loading one takes `load_s`."""

    load_s: float
    gap_s: float

    def jobs(self, seed: int) -> list[Arrival]:
        choose = random.Random(seed)
        at, found = 0.0, []
        for _ in range(JOBS):
            found.append(Arrival(at, choose.uniform(2, 10), (choose.choice("AB"),)))
            at += choose.expovariate(1 / self.gap_s) if self.gap_s else 0.0
        return found

    def seconds(self, job: Arrival, engine: EngineLoad) -> float:
        return job.work_s / SPEED[engine.name]

    def load_seconds(self, job: Arrival, engine: EngineLoad) -> float:
        return 0.0 if engine.used_models[-1:] == job.models else self.load_s


@dataclass
class Simulation:
    """The state of the engines: when each job ends there, and which models were used."""

    case: PlacementCase
    ends: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SPEED})
    used: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(SPEED, ()))

    def load(self, name: str, now: float) -> EngineLoad:
        left = [end for end in self.ends[name] if end > now]
        return EngineLoad(name, max(left, default=now) - now, PLACES - len(left), self.used[name])

    def hand(self, job: Arrival, name: str, now: float) -> None:
        load = self.load(name, now)
        seconds = self.case.seconds(job, load) + self.case.load_seconds(job, load)
        self.ends[name].append(now + load.queued_s + seconds)
        self.used[name] = job.models

    def moments(self, now: float) -> Iterator[float]:
        """Yield the seconds at which a job may start: a job ends, or little work is left."""
        for ends in self.ends.values():
            for end in ends:
                yield from (moment for moment in (end - AHEAD_S, end) if moment > now + 1e-9)

    def run(self, jobs: Sequence[Arrival]) -> float:
        """Place arriving jobs with the pool's function, and return the second at which all have ended."""
        coming, waiting, now = list(jobs), list[Arrival](), 0.0
        while coming or waiting:
            while coming and coming[0].at <= now:
                waiting.append(coming.pop(0))
            loads = [self.load(name, now) for name in SPEED]
            for job, name in next_jobs(waiting, loads, self.case.seconds, self.case.load_seconds):
                waiting.remove(job)
                self.hand(job, name, now)
            if coming or waiting:
                now = min([*self.moments(now), *(job.at for job in coming[:1])])
        return max(end for ends in self.ends.values() for end in ends)


def total(case: PlacementCase, jobs: Sequence[Arrival], assignment: Assignment) -> float:
    """Return the second at which all jobs have ended when each starts on a fixed engine at its arrival."""
    free, used = dict.fromkeys(SPEED, 0.0), dict.fromkeys(SPEED, "")
    for job, name in zip(jobs, assignment, strict=True):
        load_s = 0.0 if used[name] == job.models[0] else case.load_s
        free[name] = max(job.at, free[name]) + load_s + job.work_s / SPEED[name]
        used[name] = job.models[0]
    return max(free.values())


def best(case: PlacementCase, jobs: Sequence[Arrival]) -> float:
    return min(total(case, jobs, assignment) for assignment in product(SPEED, repeat=len(jobs)))


def round_robin(jobs: Sequence[Arrival]) -> list[str]:
    names = list(SPEED)
    return [names[number % len(names)] for number in range(len(jobs))]


def ratios(case: PlacementCase, seeds: int, ours: Callable[[Sequence[Arrival]], float]) -> list[float]:
    found = [case.jobs(seed) for seed in range(seeds)]
    return [ours(jobs) / best(case, jobs) for jobs in found]


BURSTS = [PlacementCase(8.0, 0.0), PlacementCase(4.0, 0.0)]
STREAMS = [PlacementCase(8.0, 4.0), PlacementCase(4.0, 4.0), PlacementCase(8.0, 8.0)]
SEEDS = 30
WITHIN = 1.10


@pytest.mark.parametrize("case", BURSTS, ids=str)
def test_a_burst_takes_hardly_longer_than_with_the_best_assignment(case: PlacementCase) -> None:
    """A burst takes at most 10 % longer than with the best assignment, in each instance."""
    assert max(ratios(case, 100, lambda jobs: Simulation(case).run(jobs))) <= WITHIN


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_jobs_that_come_one_by_one_take_hardly_longer_than_in_hindsight(case: PlacementCase) -> None:
    """Jobs that arrive one by one take at most 10 % longer over all instances."""
    instances = [case.jobs(seed) for seed in range(SEEDS)]
    ours = sum(Simulation(case).run(jobs) for jobs in instances)
    assert ours <= WITHIN * sum(best(case, jobs) for jobs in instances)


@pytest.mark.parametrize("case", [*BURSTS, *STREAMS], ids=str)
def test_round_robin_does_not_come_near(case: PlacementCase) -> None:
    """Round robin fails both comparisons."""
    instances = [case.jobs(seed) for seed in range(SEEDS)]
    theirs = [total(case, jobs, round_robin(jobs)) for jobs in instances]
    ideal = [best(case, jobs) for jobs in instances]
    assert max(one / other for one, other in zip(theirs, ideal, strict=True)) > WITHIN
    assert sum(theirs) > WITHIN * sum(ideal)


def test_one_job_goes_where_it_ends_first() -> None:
    """`plan` weighs queue, speed and models to load."""
    job = Arrival(0.0, 4.0, ("A",))
    case = PlacementCase(load_s=8.0, gap_s=0.0)
    cases = [(0, 0, (), "fast"), (5, 0, (), "slow"), (0, 0, ("A",), "slow"), (9, 9, (), "fast")]
    for fast_s, slow_s, used, name in cases:
        loads = [EngineLoad("fast", fast_s, 1), EngineLoad("slow", slow_s, 1, used)]
        assert plan([job], loads, case.seconds, case.load_seconds) == [name]


def test_a_job_waits_for_the_engine_that_ends_it_first() -> None:
    """`next_jobs` lets a job wait for a faster engine, and starts later jobs on the other one."""
    case = PlacementCase(load_s=100.0, gap_s=0.0)
    waiting = [Arrival(0.0, 4.0, ("A",)), Arrival(0.0, 4.0, ("B",))]
    loads = [EngineLoad("fast", 3.0, 0, ("A",)), EngineLoad("slow", 0.0, 3, ("B",))]
    assert next_jobs(waiting, loads, case.seconds, case.load_seconds) == [(waiting[1], "slow")]


def test_jobs_of_one_engine_keep_their_order() -> None:
    """`next_jobs` starts as many jobs in order as a single engine has places."""
    case = PlacementCase(load_s=1.0, gap_s=0.0)
    waiting = [Arrival(0.0, work_s, ("A",)) for work_s in (50.0, 1.0, 2.0, 3.0)]
    due = next_jobs(waiting, [EngineLoad("fast", 0.0, 3)], case.seconds, case.load_seconds)
    assert [job for job, _ in due] == waiting[:3]
    assert next_jobs(waiting, [], case.seconds, case.load_seconds) == []
