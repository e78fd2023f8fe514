"""Finds the cheapest parameters of an endpoint with which the waits are as short as wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.fleet.reports.cases import HOURS, ReportCase, pattern_jobs
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario, QueueTimeRouting, WaitTarget
from worker.fleet.simulation.summary import summarise
from worker.fleet.simulation.trace import TraceJob

GOAL = WaitTarget(60.0, 0.95)
STEPS = 24
UTILISATIONS = tuple(0.05 ** (step / (STEPS - 1)) for step in range(STEPS))
"""Values of target_util that are tried, from 1 to 0.05. The next one is 12 % lower."""
QUEUE_TIMES = (10.0, 40.0, 160.0)
"""Values of target_queue_time that are tried, in readings that have it. The last is above the longest usual job."""
MOST_WORKERS = 100
READY, INACTIVE = 4, 6
"""Workers at the start."""


@dataclass(frozen=True, slots=True)
class TuningTask:
    """One search."""

    case: ReportCase
    reading: VastReading
    pattern: str
    seed: int


@dataclass(frozen=True, slots=True)
class TunedFleet:
    """The cheapest parameters that were found, and the GPU hours with them: infinite if none reach the goal."""

    task: TuningTask
    gpu_hours: float = math.inf
    target_util: float = math.nan
    target_queue_time: float = math.nan


def tune(task: TuningTask) -> TunedFleet:
    """Return the cheapest parameters for a task."""
    jobs = pattern_jobs(task.pattern, task.seed)
    times = QUEUE_TIMES[:1] if task.reading is VastReading.UTILISATION else QUEUE_TIMES
    return min((_tune_utilisation(task, jobs, each) for each in times), key=lambda found: found.gpu_hours)


def _tune_utilisation(task: TuningTask, jobs: Sequence[TraceJob], queue_time: float) -> TunedFleet:
    """Return the cheapest target_util, by bisection: a lower one shortens the waits and costs more."""
    best, low, high = TunedFleet(task), 0, STEPS
    while low < high:
        step = (low + high) // 2
        gpu_hours = _gpu_hours(task, jobs, UTILISATIONS[step], queue_time)
        if gpu_hours < best.gpu_hours:
            best = TunedFleet(task, gpu_hours, UTILISATIONS[step], queue_time)
        low, high = (low, step) if gpu_hours < math.inf else (step + 1, high)
    return best


def _gpu_hours(task: TuningTask, jobs: Sequence[TraceJob], target_util: float, queue_time: float) -> float:
    """Return the GPU hours of a run, infinite if the waits are too long."""
    parameters = VastParameters(target_util=target_util, target_queue_time=queue_time, max_workers=MOST_WORKERS)
    scenario = FleetScenario(
        jobs,
        lambda: task.reading.policy(parameters),
        routing=QueueTimeRouting(parameters.max_queue_time),
        report=task.case.report,
        ready_at_start=READY,
        inactive_at_start=INACTIVE,
        length_s=HOURS * 3600,
        give_up=GOAL,
        seed=task.seed,
    )
    outcome = simulate(scenario)
    return math.inf if outcome.gave_up else summarise(outcome, scenario.platform).gpu_hours
