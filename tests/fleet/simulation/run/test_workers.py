"""What happens to workers, worked by hand."""

from __future__ import annotations

from dataclasses import replace

from tests.fleet.simulation.fleets import EXACT, jobs, scripted
from worker.fleet.simulation.life import LifeInterval, LifeState
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.platform import VAST
from worker.fleet.simulation.policy import FleetTarget
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.summary import summarise

ONE, NONE, COLD = FleetTarget(1, 1), FleetTarget(0, 0), FleetTarget(0, 1)


def states(outcome: FleetOutcome, number: int = 0) -> list[tuple[LifeState, float, float]]:
    """Return the life of a worker."""
    return [(each.state, each.start_s, each.end_s) for each in outcome.lives[number].intervals]


def test_a_life_is_billed_from_the_pull_of_the_image_on() -> None:
    """30 s of creation are free. 210 s of loading and 10 s of the job are billed: 220 s."""
    scenario, _ = scripted(jobs((0, 10)), [ONE])
    outcome = simulate(scenario)
    assert outcome.lives[0].intervals == (
        LifeInterval(LifeState.CREATING, 0, 30),
        LifeInterval(LifeState.LOADING, 30, 240),
        LifeInterval(LifeState.READY, 240, 250),
    )
    summary = summarise(outcome, VAST, usd=0.5)
    assert summary.gpu_hours == 220 / 3600
    assert (summary.utilisation, summary.cold_starts, summary.usd_per_1000) == (1.0, 1, 500.0)


def test_a_spare_worker_is_created_stopped_and_started_later() -> None:
    """A cold worker is stopped when it is created, at 240 s. It is wanted at 300 s, and starts again in 45 s."""
    scenario, _ = scripted(jobs((300, 10)), [COLD] * 300 + [ONE])
    outcome = simulate(scenario)
    assert [state for state, _, _ in states(outcome)] == [
        LifeState.CREATING,
        LifeState.LOADING,
        LifeState.INACTIVE,
        LifeState.STARTING,
        LifeState.READY,
    ]
    assert outcome.start_s[0] == 345


def test_a_busy_worker_finishes_its_jobs_before_it_stops() -> None:
    """The worker is not wanted from 2 s on. It drains until its job is done at 10 s, and then is destroyed."""
    scenario, policy = scripted(jobs((0, 10)), [ONE, ONE, NONE], ready_at_start=1, length_s=20)
    outcome = simulate(scenario)
    assert states(outcome) == [(LifeState.READY, 0, 2), (LifeState.DRAINING, 2, 10)]
    assert list(outcome.end_s) == [10]
    assert (policy.at(5).ready, policy.at(5).in_progress) == (0, 1)


def test_a_draining_worker_that_is_wanted_again_takes_jobs() -> None:
    """It drains from 2 to 4 s. The second job then goes to the same worker."""
    script = [ONE, ONE, NONE, NONE, ONE]
    scenario, _ = scripted(jobs((0, 10), (5, 1)), script, ready_at_start=1)
    outcome = simulate(scenario)
    assert len(outcome.lives) == 1
    assert list(outcome.start_s) == [0, 10]


def test_idle_workers_stop_before_busy_ones() -> None:
    """Of three workers two are wanted. The one that stops has no job."""
    scenario, _ = scripted(
        jobs((0.5, 10), (0.5, 10)), [FleetTarget(3, 3), FleetTarget(2, 3)], ready_at_start=3, length_s=5
    )
    outcome = simulate(scenario)
    stopped = [life.number for life in outcome.lives if life.intervals[-1].state is LifeState.INACTIVE]
    assert len(stopped) == 1
    assert not set(stopped) & set(outcome.worker)


def test_a_new_worker_that_is_not_wanted_any_more_is_removed() -> None:
    """A worker is wanted at 0 s and not at 1 s: it exists for a second, and nothing is billed."""
    scenario, policy = scripted(jobs((2, 1)), [ONE, NONE], patience_s=60)
    outcome = simulate(scenario)
    assert states(outcome) == [(LifeState.CREATING, 0, 1)]
    assert policy.at(1).starting == 1
    assert summarise(outcome, VAST).gpu_hours == 0


def test_an_inactive_worker_starts_before_a_new_one_is_created() -> None:
    """With a stopped worker, the job waits for 45 s and not for 240 s."""
    scenario, policy = scripted(jobs((0, 10)), [ONE], inactive_at_start=1)
    assert simulate(scenario).waits_s() == [45]
    assert policy.at(0).inactive == 1


def test_a_creation_that_fails_is_tried_again() -> None:
    """All creations fail at their end, so that the next one begins at the next decision, and no job is served."""
    platform = replace(EXACT, boot=replace(EXACT.boot, fail_share=1.0))
    scenario, _ = scripted(jobs((0, 10)), [ONE], platform=platform, patience_s=1000)
    outcome = simulate(scenario)
    assert outcome.waits_s() == []
    assert [life.has_failed for life in outcome.lives[:4]] == [True] * 4
    assert states(outcome, 1)[0] == (LifeState.CREATING, 240, 270)


def test_a_slow_creation_takes_longer() -> None:
    """All creations take 300 s more."""
    platform = replace(EXACT, boot=replace(EXACT.boot, slow_share=1.0))
    scenario, _ = scripted(jobs((0, 10)), [ONE], platform=platform)
    assert simulate(scenario).waits_s() == [540]


def test_the_view_has_the_idle_times_longest_first() -> None:
    """One worker has been idle since the start, the other since its job was done at 3 s."""
    scenario, policy = scripted(jobs((0.0, 3), (9, 1)), [FleetTarget(2, 2)], ready_at_start=2)
    simulate(scenario)
    assert policy.at(5).idle_s == (5, 2)
    assert policy.at(2).idle_s == (2,)


def test_samples_stay_few() -> None:
    """A decision a second for three hours: at most a thousand samples, over all of the time."""
    scenario, policy = scripted(jobs((10_000, 1)), [ONE])
    samples = simulate(scenario).samples
    assert len(policy.views) > 10_000
    assert 250 < len(samples) < 1000
    assert samples[-1].at_s > 9900
    assert samples[-1].ready == 1
