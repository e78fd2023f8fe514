"""Replays with real worker processes, embedded engines and Vast's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.terminal import environment
from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.platform import BootTimes, SimulatedPlatform
from worker.fleet.simulation.policies.fixed_workers import FixedWorkers
from worker.fleet.simulation.policy import FleetTarget
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.trace import TraceJob
from worker.simulators.vast_fleet.comparison import compare
from worker.simulators.vast_fleet.fleet_view import FleetObserver
from worker.simulators.vast_fleet.job_prompt import job_prompt
from worker.simulators.vast_fleet.job_sender import PreparedJob, open_sender
from worker.simulators.vast_fleet.played_fleet import PlayedFleet, start_played_fleet
from worker.simulators.vast_fleet.replay import ReplaySetup, replay
from worker.simulators.vast_fleet.worker_host import WorkerHost, worker_settings
from worker.simulators.vast_router import RouterFaultConfig, serve

pytestmark = pytest.mark.timeout(150)

SPEED, TICK_S = 20.0, 5.0
BOOT = BootTimes(20.0, 40.0, 20.0, spread=0.0, slow_share=0.0, fail_share=0.0)
DEADLINE_S = 60.0


def trace(*seconds: float) -> list[TraceJob]:
    """Return a trace of jobs that all arrive at once."""
    return [TraceJob(0.0, each, each, "sdxl") for each in seconds]


def scenario(jobs: list[TraceJob], ready: int, inactive: int = 0) -> FleetScenario:
    """Return a scenario whose policy wants two workers."""
    policy, platform = lambda: FixedWorkers(2, TICK_S), SimulatedPlatform(BOOT)
    return FleetScenario(jobs, policy, platform, ready_at_start=ready, inactive_at_start=inactive)


@asynccontextmanager
async def running_fleet(played: FleetScenario, folder: Path) -> AsyncIterator[PlayedFleet]:
    """Yield a fleet whose first workers are ready. No policy changes it."""
    async with serve(fault_config=RouterFaultConfig(hold_s=8.0)) as vast:
        host = WorkerHost(vast, {**environment(), **worker_settings(played, SPEED, folder)}, folder)
        async with start_played_fleet(host, BOOT, SPEED) as fleet:
            await fleet.begin(played.ready_at_start, played.inactive_at_start)
            yield fleet


async def states_are(fleet: PlayedFleet, *states: LifeState | None) -> None:
    """Wait until the workers have these states. Raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_S):
        while [worker.state for worker in fleet.workers] != list(states):
            await asyncio.sleep(0.05)


async def test_a_replay_has_the_figures_of_the_simulation(tmp_path: Path) -> None:
    """A replay serves every job once, while its policy creates a worker, and all its times are the trace's."""
    played = scenario(trace(12, 16, 8, 10), ready=1)
    result = await replay(played, ReplaySetup(SPEED, tmp_path, environment()))
    figures = compare(played, result)
    assert (figures.replayed.served, figures.simulated.served, result.failures) == (4, 4, [])
    assert list(result.outcome.attempts) == [1, 1, 1, 1]
    records = sorted(result.outcome.records(), key=lambda record: record.start_s)
    assert [record.arrival_s for record in records] == [0.0] * 4
    assert (result.outcome.samples[0].ready, result.outcome.samples[1].starting) == (1, 1)
    # A job takes at least its seconds of the trace, and the overhead says how much longer.
    assert min(record.end_s - record.start_s for record in records) >= 8
    assert result.overhead.running_s > 0
    assert figures.replayed.waits.max_s >= 30
    assert [life.intervals[0].state for life in result.outcome.lives] == [LifeState.READY, LifeState.CREATING]
    assert sum(life.jobs for life in result.outcome.lives) == 4


async def test_workers_are_woken_stopped_and_destroyed_as_the_target_says(tmp_path: Path) -> None:
    """An inactive worker is ready after its boot time, a surplus one is stopped, and one too many is destroyed."""
    ready, inactive = LifeState.READY, LifeState.INACTIVE
    async with running_fleet(scenario(trace(10), ready=1, inactive=1), tmp_path) as fleet:
        await states_are(fleet, ready, inactive)
        began_s = fleet.clock.now_s
        fleet.apply(FleetTarget(2, 2))
        await states_are(fleet, ready, ready)
        assert fleet.clock.now_s - began_s >= BOOT.starting_s
        fleet.apply(FleetTarget(1, 1))
        await states_are(fleet, inactive, ready)
        fleet.apply(FleetTarget(1, 1))
        await states_are(fleet, None, ready)
    assert [interval.state for interval in fleet.workers[1].intervals] == [inactive, LifeState.STARTING, ready]


async def test_the_job_of_a_worker_that_dies_is_repeated(tmp_path: Path) -> None:
    """When a worker dies, the client repeats its job on another one, and the policy sees one worker less."""
    played = scenario(trace(120), ready=2)
    async with running_fleet(played, tmp_path) as fleet, open_sender(fleet.host.vast, fleet.clock) as sender:
        job = played.jobs[0]
        prepared = PreparedJob(job, job_prompt(job.units, job.seconds, job.kind), job.seconds)
        sending = asyncio.create_task(sender.send_all([prepared]))
        record = fleet.host.vast.record
        await record.until(lambda record: any(report.working_request_idxs for report in record.statuses), DEADLINE_S)
        busy = next(report.id for report in reversed(record.statuses) if report.working_request_idxs) - 1
        victim = fleet.workers[busy].member
        assert victim is not None
        victim.process.kill()
        async with asyncio.timeout(DEADLINE_S):
            await sending
        assert (sender.failures, [(job.worker, job.attempts) for job in sender.played]) == ([], [(1 - busy, 2)])
        assert (fleet.workers[busy].state, fleet.workers[busy].has_failed) == (None, True)
        assert FleetObserver(fleet.host.vast.router, fleet.clock, 1.0).view(fleet.workers).ready == 1
