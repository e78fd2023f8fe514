"""The simulation beside a replay: what the replay has measured is in it."""

from __future__ import annotations

import pytest

from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.platform import SimulatedPlatform
from worker.fleet.simulation.policies.fixed_workers import FixedWorkers
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.trace import TraceJob
from worker.simulators.vast_fleet.comparison import as_played
from worker.simulators.vast_fleet.overhead import ReplayOverhead

JOBS = [TraceJob(0.0, 10.0, 20.0, "sdxl"), TraceJob(1.0, 30.0, 60.0, "video")]
"""Each does one unit in two seconds."""


def scenario(speed: float = 1.0) -> FleetScenario:
    return FleetScenario(JOBS, lambda: FixedWorkers(1, 5.0), SimulatedPlatform(), speed=speed)


def test_jobs_are_longer_and_workers_slower_by_what_the_replay_added() -> None:
    """Without a measured speed, the units a second follow from the longer jobs."""
    played = as_played(scenario(), ReplayOverhead(running_s=1.5, idle_s=0.5))
    assert [job.seconds for job in played.jobs] == [22.0, 62.0]
    assert played.report.perf(played.jobs) == pytest.approx(40.0 / 84.0)


def test_workers_report_the_speed_that_those_of_the_replay_measured() -> None:
    """It is that of a worker in the trace's time, so one of twice the speed has twice as much."""
    played = as_played(scenario(speed=2.0), ReplayOverhead(), perf=0.9)
    assert played.report.perf(played.jobs) * played.speed == pytest.approx(0.9)
    assert LoadReport().perf(JOBS) == 0.5
