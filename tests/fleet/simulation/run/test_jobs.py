"""What happens to jobs, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from heapq import heapreplace

import pytest

from tests.fleet.simulation.fleets import AT_ONCE, EXACT, fixed, jobs, scripted
from worker.fleet.simulation.load_report import LoadReport, ReportedWork
from worker.fleet.simulation.policy import FleetTarget
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario, PoolRouting, QueueTimeRouting, WaitTarget
from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.settings import RunningJobs

ONE, NONE = FleetTarget(1, 1), FleetTarget(0, 0)


def starts(scenario: FleetScenario) -> list[float]:
    """Return when the jobs of a scenario start."""
    return list(simulate(scenario).start_s)


def test_the_second_job_of_a_worker_waits_for_the_first() -> None:
    """Jobs of 10 s arrive at 0 and 1 s. The second one starts at 10 s, so it waits 9 s, and ends at 20 s."""
    outcome = simulate(fixed(jobs((0, 10), (1, 10))))
    assert outcome.waits_s() == [0, 9]
    assert list(outcome.end_s) == [10, 20]
    (life,) = outcome.lives
    assert (life.busy_s, life.jobs) == (20, 2)


def test_a_faster_worker_takes_less_time() -> None:
    """With twice the speed, a job of 10 s takes 5 s, so the second one starts at 5 s."""
    assert starts(fixed(jobs((0, 10), (1, 10)), speed=2.0)) == [0, 5]


def test_a_job_waits_for_a_cold_start() -> None:
    """A worker is wanted at 0 s. 30 s of creation and 210 s of loading later, the job starts."""
    scenario, _ = scripted(jobs((0, 10)), [ONE])
    assert starts(scenario) == [240]


def test_the_router_takes_the_shortest_queue() -> None:
    """At 2 s one worker has 98 s to do and the other 8 s. The third job goes to the second one, and starts at 10 s."""
    outcome = simulate(fixed(jobs((0, 100), (1, 9), (2, 5)), workers=2, routing=QueueTimeRouting(1000)))
    assert outcome.worker[2] == outcome.worker[1] != outcome.worker[0]
    assert outcome.start_s[2] == 10


def test_above_max_queue_time_jobs_wait_in_the_router() -> None:
    """One worker, 10 s jobs at 0, 1 and 2 s, and a limit of 5 s.

    The second job can go to the worker at 5 s, when 5 s of the first one remain. Then 15 s are to do, so that the third
    one can go there at 15 s.
    """
    trace = jobs((0.5, 10), (1.5, 10), (2.5, 10))
    scenario, policy = scripted(trace, [ONE], ready_at_start=1, routing=QueueTimeRouting(5))
    assert starts(scenario) == [0.5, 10.5, 20.5]
    assert [policy.at(now_s).waiting for now_s in (1, 2, 5, 6, 15, 16)] == [0, 1, 2, 1, 1, 0]
    assert policy.at(5).oldest_wait_s == 3.5
    assert policy.at(5).waiting_load == 20


def test_with_constant_load_the_router_cannot_see_how_long_a_job_is() -> None:
    """A job of 100 s counts as the benchmark's 5 s, so that the next one goes to its worker although it takes 100 s."""
    report = LoadReport(ReportedWork.CONSTANT, benchmark_s=5)
    trace = jobs((0, 100), (1, 5))
    assert starts(fixed(trace, report=report, routing=QueueTimeRouting(30))) == [0, 100]
    scenario, policy = scripted(trace, [ONE], ready_at_start=1, report=report)
    simulate(scenario)
    assert policy.at(2).current_load == 200  # jobs count in full until they are done
    assert policy.at(2).worker_perf == 20


@pytest.mark.parametrize(("running", "load"), [(RunningJobs.ALL, 8), (RunningJobs.EXCESS, 1), (RunningJobs.NONE, 0)])
def test_running_jobs_count_as_the_worker_reports_them(running: RunningJobs, load: float) -> None:
    """A running job with 8 s left counts 8, 1 or 0 s, as in the table of docs/vast.md."""
    report = LoadReport(running=running)
    scenario, policy = scripted(jobs((0, 10)), [ONE], ready_at_start=1, report=report)
    simulate(scenario)
    assert policy.at(2).current_load == load


@pytest.mark.parametrize(("running", "load"), [(RunningJobs.ALL, 12), (RunningJobs.EXCESS, 12), (RunningJobs.NONE, 4)])
def test_jobs_behind_a_running_one_count_in_full(running: RunningJobs, load: float) -> None:
    """The same with a job of 4 s that waits: 12, 12 and 4 s."""
    scenario, policy = scripted(jobs((0, 10), (0, 4)), [ONE], ready_at_start=1, report=LoadReport(running=running))
    simulate(scenario)
    assert policy.at(2).current_load == load


def test_another_kind_loads_its_models_first() -> None:
    """Loading takes 7 s. The second picture finds its models loaded, the video and the third picture do not."""
    trace = [TraceJob(0, 10, 10, kind) for kind in ("picture", "picture", "video", "picture")]
    platform = replace(AT_ONCE, model_load_s=7)
    assert starts(fixed(trace, platform=platform, routing=PoolRouting())) == [0, 17, 27, 44]


def test_jobs_of_a_failed_machine_run_elsewhere_or_fail() -> None:
    """Machines fail after a millisecond, so that a job fails at its second attempt if it has only two."""
    platform = replace(AT_ONCE, failures_per_hour=3_600_000, attempts=2)
    outcome = simulate(fixed(jobs((0, 1000), (0, 1000)), platform=platform, patience_s=3600))
    assert list(outcome.attempts) == [2, 2]
    assert all(map(math.isnan, outcome.end_s))
    assert all(life.has_failed for life in outcome.lives[:4])


def test_a_job_is_served_after_its_machine_failed() -> None:
    """A machine fails about every 100 s, and a job of 60 s gets as many attempts as it needs."""
    platform = replace(AT_ONCE, failures_per_hour=36, attempts=200)
    outcome = simulate(fixed(jobs((0, 60), (1, 60), (2, 60)), workers=2, platform=platform, seed=4))
    assert not any(map(math.isnan, outcome.end_s))
    assert sum(outcome.attempts) > 3
    assert sum(life.jobs for life in outcome.lives) == 3


def test_jobs_that_no_worker_takes_fail() -> None:
    """Without a worker, the run ends an hour after the last arrival, and the job has failed."""
    scenario, _ = scripted(jobs((5, 1)), [NONE], patience_s=3600)
    outcome = simulate(scenario)
    assert (outcome.ended_s, outcome.waits_s(), outcome.worker[0]) == (3605, [], -1)


def test_a_run_ends_early_when_its_goal_is_missed() -> None:
    """Two of four jobs wait for longer than a second. With a median as the goal that is allowed, three are not."""
    trace = jobs((0, 10), (10, 10), (11, 10), (12, 10))
    assert not simulate(fixed(trace, give_up=WaitTarget(1, 0.5))).gave_up
    assert simulate(fixed(jobs((0, 10), (1, 10), (2, 10), (3, 10)), give_up=WaitTarget(1, 0.5))).gave_up


def test_waits_are_those_of_a_queue_with_several_servers() -> None:
    """With one queue, each job takes the worker that is free first (the recursion of Kiefer and Wolfowitz)."""
    trace = [TraceJob(number * 0.7, 1, (number * 37 % 11) / 2 + 0.1) for number in range(500)]
    free, expected = [0.0] * 4, []
    for job in trace:
        expected.append(max(free[0], job.at_s))
        heapreplace(free, expected[-1] + job.seconds)
    found = starts(fixed(trace, workers=4, routing=PoolRouting()))
    assert found == pytest.approx(expected)


def test_an_empty_trace_has_no_jobs() -> None:
    """Nothing arrives: the fleet is there for the given time, and nothing is served."""
    outcome = simulate(fixed([], length_s=100, platform=EXACT))
    assert outcome.waits_s() == []
    assert outcome.ended_s == 100
