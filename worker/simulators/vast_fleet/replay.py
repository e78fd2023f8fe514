"""Plays a trace in real time: worker processes, the local router, Vast's own client, and an autoscaler's policy."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import fmean

from worker.fleet.simulation.life import SimulatedLife
from worker.fleet.simulation.outcome import NO_WORKER, FleetOutcome
from worker.fleet.simulation.scenario import FleetScenario, QueueTimeRouting
from worker.simulators.vast_fleet.job_prompt import job_prompt
from worker.simulators.vast_fleet.job_sender import PreparedJob, TraceSender, open_sender
from worker.simulators.vast_fleet.overhead import ReplayOverhead, measured_overhead
from worker.simulators.vast_fleet.played_fleet import PlayedFleet, start_played_fleet
from worker.simulators.vast_fleet.played_worker import PlayedWorker
from worker.simulators.vast_fleet.worker_host import WorkerHost, worker_settings
from worker.simulators.vast_router import RouterFaultConfig, serve

HOLD_S = 8.0
"""Real seconds for which the router holds a request. Vast's client gives up after ten."""


@dataclass(frozen=True, slots=True)
class ReplaySetup:
    """How a scenario is played.

    Attributes:
        speed: Seconds of the trace in a real second.
        folder: Folder for the state and the logs of the workers.
        env: Environment of the worker processes, without settings.
    """

    speed: float
    folder: Path
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay has shown.

    Attributes:
        outcome: Jobs, workers and the fleet over time, as the simulation returns them. Times are those of the trace.
        overhead: What it added to the time of a job.
        perf: Mean units a second of a worker in the trace's time, as the workers have measured them. None without one.
        late_s: The longest time by which a worker was ready later than its boot time says.
        failures: The answers to the jobs that were not served.
    """

    outcome: FleetOutcome
    overhead: ReplayOverhead
    perf: float | None
    late_s: float
    failures: Sequence[str]


async def replay(scenario: FleetScenario, setup: ReplaySetup) -> ReplayResult:
    """Play a scenario on this machine, and return when the last job has its answer.

    Every start takes the mean time of the scenario's boot times, and none fails. Raises StartupError when a worker that
    is there at the start is not ready in time.
    """
    prepared = await asyncio.to_thread(_prepare, scenario)
    async with serve(fault_config=_router_config(scenario, setup.speed)) as vast:
        settings = worker_settings(scenario, setup.speed, setup.folder)
        host = WorkerHost(vast, {**setup.env, **settings}, setup.folder)
        async with start_played_fleet(host, scenario.platform.boot, setup.speed) as fleet:
            await fleet.begin(scenario.ready_at_start, scenario.inactive_at_start)
            async with open_sender(vast, fleet.clock) as sender:
                perf = scenario.report.perf(scenario.jobs) * scenario.speed
                scaling = asyncio.create_task(fleet.follow(scenario.policy(), perf))
                sending = asyncio.create_task(sender.send_all(prepared))
                await _until_sent(sending, scaling)
    return _replay(scenario, fleet, sender)


async def _until_sent(sending: asyncio.Task[None], scaling: asyncio.Task[None]) -> None:
    """Wait until all jobs have their answers. Raises what ended the decisions early."""
    try:
        await asyncio.wait({sending, scaling}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel() if scaling.done() else scaling.cancel()
    with suppress(asyncio.CancelledError):
        await scaling
    await sending


def _prepare(scenario: FleetScenario) -> list[PreparedJob]:
    """Return the jobs with their prompts. Making them takes some milliseconds each."""
    prepared = []
    for job in scenario.jobs:
        seconds, load_s = job.seconds / scenario.speed, scenario.platform.load_s(job.kind)
        prepared.append(PreparedJob(job, job_prompt(job.units, seconds, job.kind, load_s), seconds, load_s))
    return prepared


def _router_config(scenario: FleetScenario, speed: float) -> RouterFaultConfig:
    """Return the settings of the router, in real seconds."""
    routing = scenario.routing
    limit_s = routing.max_queue_time / speed if isinstance(routing, QueueTimeRouting) else None
    return RouterFaultConfig(hold_s=HOLD_S, max_queue_time_s=limit_s)


def _replay(scenario: FleetScenario, fleet: PlayedFleet, sender: TraceSender) -> ReplayResult:
    """Return the result of a replay that has ended."""
    count = len(scenario.jobs)
    start_s, end_s = array("d", repeat(math.nan, count)), array("d", repeat(math.nan, count))
    worker, attempts = array("i", repeat(NO_WORKER, count)), array("B", bytes(count))
    for job in sender.played:
        start_s[job.index], end_s[job.index] = job.started_s, job.ended_s
        worker[job.index], attempts[job.index] = job.worker, job.attempts
    outcome = FleetOutcome(
        jobs=scenario.jobs,
        start_s=start_s,
        end_s=end_s,
        worker=worker,
        attempts=attempts,
        lives=tuple(_life(worker, scenario.speed, sender) for worker in fleet.workers),
        samples=tuple(fleet.samples),
        ended_s=fleet.clock.now_s,
        gave_up=False,
    )
    late_s = max((worker.late_s for worker in fleet.workers), default=0.0)
    perf = fmean(fleet.perfs) if fleet.perfs else None
    return ReplayResult(outcome, measured_overhead(sender.played), perf, late_s, sender.failures)


def _life(worker: PlayedWorker, speed: float, sender: TraceSender) -> SimulatedLife:
    """Return what a worker was."""
    jobs = [job for job in sender.played if job.worker == worker.number]
    busy_s = sum(job.ended_s - job.started_s for job in jobs)
    return SimulatedLife(worker.number, speed, tuple(worker.intervals), busy_s, len(jobs), worker.has_failed)
