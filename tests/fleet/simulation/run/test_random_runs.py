"""What holds in every run, checked with random scenarios."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.load_report import LoadReport, ReportedWork
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.platform import VAST
from worker.fleet.simulation.policies.modal_pool import ModalParameters, ModalPool
from worker.fleet.simulation.policies.runpod_scalers import RunpodParameters, RunpodQueueDelay
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.policy import FleetTarget, FleetView, ScalingPolicy
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario, PoolRouting, QueueTimeRouting
from worker.fleet.simulation.summary import summarise
from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.settings import RunningJobs

SEEDS = range(16)


class Watched:
    """A policy whose views are kept."""

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy, self.tick_s = policy, policy.tick_s
        self.views: list[FleetView] = []

    def decide(self, view: FleetView) -> FleetTarget:
        """Return what the policy wants."""
        self.views.append(view)
        return self.policy.decide(view)


def random_policy(chance: random.Random) -> ScalingPolicy:
    """Return any autoscaler."""
    most = chance.randint(1, 12)
    if chance.random() < 0.2:
        return RunpodQueueDelay(RunpodParameters(workersMax=most))
    if chance.random() < 0.2:
        return ModalPool(ModalParameters(max_containers=most, buffer_containers=chance.randint(0, 2)))
    parameters = VastParameters(target_util=chance.uniform(0.3, 1), max_workers=most, inactivity_timeout=120)
    return chance.choice(list(VastReading)).policy(parameters)


def random_scenario(seed: int) -> tuple[FleetScenario, Watched]:
    """Return any scenario, and its policy."""
    chance = random.Random(seed)
    policy = Watched(random_policy(chance))
    times = sorted(chance.uniform(0, 3000) for _ in range(chance.randint(1, 300)))
    trace = [
        TraceJob(at_s, seconds, seconds * chance.uniform(0.7, 1.4), chance.choice("abc"))
        for at_s in times
        for seconds in [chance.choice((3.0, 20.0, 90.0))]
    ]
    report = LoadReport(
        chance.choice(list(ReportedWork)), chance.choice(list(RunningJobs)), chance.random() < 0.5, former={"a": 0.2}
    )
    return FleetScenario(
        trace,
        lambda: policy,
        replace(VAST, failures_per_hour=chance.choice((0.0, 3.0)), model_load_s=chance.choice((0.0, 9.0))),
        PoolRouting(chance.randint(1, 3)) if chance.random() < 0.3 else QueueTimeRouting(chance.uniform(0, 60)),
        report,
        speed_spread=0.2,
        duration_spread=0.3,
        inactive_at_start=chance.randint(0, 2),
        length_s=12_000,
        seed=seed,
    ), policy


def check_jobs(outcome: FleetOutcome) -> None:
    """Each job is served or has failed, once, and no worker runs two at a time."""
    records = list(outcome.records())
    served = [record for record in records if record.is_served]
    assert len(served) == sum(life.jobs for life in outcome.lives) == len(outcome.waits_s())
    by_worker: dict[int, list[tuple[float, float]]] = {}
    for record in served:
        assert record.arrival_s <= record.start_s < record.end_s
        assert record.attempts >= 1
        by_worker.setdefault(record.worker, []).append((record.start_s, record.end_s))
    for runs in by_worker.values():
        for (_, end_s), (start_s, _) in pairwise(sorted(runs)):
            assert end_s <= start_s + 1e-9


def check_workers(outcome: FleetOutcome) -> None:
    """A worker's states follow each other without gaps, and it works only while it is ready or draining."""
    for life in outcome.lives:
        for before, after in pairwise(life.intervals):
            assert before.end_s == after.start_s
            assert before.state is not after.state
        assert life.busy_s <= life.seconds((LifeState.READY, LifeState.DRAINING)) + 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_is_served_or_fails_once(seed: int) -> None:
    """Jobs and workers of a random scenario are consistent."""
    scenario, _ = random_scenario(seed)
    outcome = simulate(scenario)
    check_jobs(outcome)
    check_workers(outcome)
    summary = summarise(outcome, scenario.platform)
    assert summary.served + summary.failed == summary.jobs == len(scenario.jobs)
    assert 0 <= summary.utilisation <= 1
    assert summary.served > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_autoscaler_sees_each_load_once(seed: int) -> None:
    """The sum of all new load is the load of all jobs, metered or not. Jobs that a machine has lost count again."""
    scenario, policy = random_scenario(seed)
    scenario = replace(scenario, platform=replace(scenario.platform, failures_per_hour=0.0))
    outcome = simulate(scenario)
    assert not any(map(math.isnan, outcome.end_s))
    total = sum(map(scenario.report.load, scenario.jobs))
    assert sum(view.new_load for view in policy.views) == pytest.approx(total)
    assert policy.views[-1].current_load == policy.views[-1].waiting_load == 0


def test_a_seed_gives_the_same_run() -> None:
    """The same scenario has the same outcome, another seed another one."""
    first, again = simulate(random_scenario(3)[0]), simulate(random_scenario(3)[0])
    assert first.start_s == again.start_s
    assert first.lives == again.lives
    other = simulate(replace(random_scenario(3)[0], seed=99))
    assert other.lives != first.lives
