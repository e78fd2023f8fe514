"""The jobs of a run as columns, because a million objects would need too much memory."""

from __future__ import annotations

import math
import random
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from worker.fleet.simulation.load_report import ReportedWork
from worker.fleet.simulation.outcome import NO_WORKER
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.trace import TraceJob


@dataclass(slots=True)
class JobTable:
    """The facts about each job, and what happened to it.

    Attributes:
        arrival_s: When it arrives.
        predicted_s: Seconds on a worker of speed 1 that the worker predicts: the units, times the mean seconds of a
            unit of this kind. So predictions are right for each kind in the mean, and not for each job.
        duration_s: Seconds that it really takes there.
        load: Load that is reported of it.
        kind: Number of its kind.
        kind_load_s: Seconds to load the models of each kind.
        start_s: When its last attempt began, NaN before.
        end_s: When it was done, NaN before.
        worker: Number of the worker of its last attempt.
        attempts: Times that it was started.
    """

    arrival_s: array[float]
    predicted_s: array[float]
    duration_s: array[float]
    load: array[float]
    kind: array[int]
    kind_load_s: list[float]
    start_s: array[float]
    end_s: array[float]
    worker: array[int]
    attempts: array[int]

    @classmethod
    def of(cls, scenario: FleetScenario) -> JobTable:
        """Return the table of a scenario. Durations depend on the seed alone, so that policies can be compared."""
        jobs, count = scenario.jobs, len(scenario.jobs)
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(job.kind for job in jobs))}
        return cls(
            arrival_s=array("d", (job.at_s for job in jobs)),
            predicted_s=_predicted(jobs),
            duration_s=_durations(jobs, scenario.duration_spread, scenario.seed),
            load=_loads(scenario),
            kind=array("i", (kinds[job.kind] for job in jobs)),
            kind_load_s=[scenario.platform.load_s(kind) for kind in kinds],
            start_s=array("d", repeat(math.nan, count)),
            end_s=array("d", repeat(math.nan, count)),
            worker=array("i", repeat(NO_WORKER, count)),
            attempts=array("B", bytes(count)),
        )


def _predicted(jobs: Sequence[TraceJob]) -> array[float]:
    """Return the seconds that a worker predicts, which has learned from many jobs of each kind."""
    seconds: dict[str, float] = defaultdict(float)
    units: dict[str, float] = defaultdict(float)
    for job in jobs:
        seconds[job.kind] += job.seconds
        units[job.kind] += job.units
    pace = {kind: seconds[kind] / units[kind] for kind in units}
    return array("d", (job.units * pace[job.kind] for job in jobs))


def _durations(jobs: Sequence[TraceJob], spread: float, seed: int) -> array[float]:
    """Return the real durations: log-normal around those of the trace, with the same mean."""
    if not spread:
        return array("d", (job.seconds for job in jobs))
    normal = random.Random(f"durations {seed}").gauss  # noqa: S311 - not for security
    bias = spread * spread / 2
    return array("d", (job.seconds * math.exp(spread * normal(0.0, 1.0) - bias) for job in jobs))


def _loads(scenario: FleetScenario) -> array[float]:
    """Return the reported loads."""
    report = scenario.report
    if report.work is ReportedWork.SECONDS:
        return array("d", (job.units for job in scenario.jobs))
    return array("d", map(report.load, scenario.jobs))
