"""What a fleet file means to the simulation."""

from __future__ import annotations

import pytest

from tests.fleet.wishes import FLEET, IMAGE
from worker.errors import FleetError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.simulation.platform import RUNPOD, VAST
from worker.fleet.simulation.scenario import PoolRouting, QueueTimeRouting
from worker.fleet.simulation.study.case import READINGS, study_cases, with_gpu, worker_gpu, worker_speed
from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.settings import RunningJobs

JOBS = [TraceJob(0, 1, 1)]


def fleet(more: str = "", old: str = "", new: str = "") -> Fleet:
    return read_fleet(FLEET.replace(old, new) + more, IMAGE)


def problems(more: str) -> list[str]:
    with pytest.raises(FleetError) as raised:
        fleet(more)
    return [str(problem) for problem in raised.value.problems]


def test_without_the_table_there_are_defaults() -> None:
    """A file without [simulation] has three readings on the first group's GPU, with Vast's boot times."""
    found = fleet()
    cases = study_cases(found, JOBS)
    assert [case.name for case in cases] == ["A", "B", "C"]
    assert {case.scenario.platform.boot for case in cases} == {VAST.boot}
    assert worker_gpu(found) == next(iter(found.groups.values())).gpus[0]
    first = cases[0].scenario
    assert first.routing == QueueTimeRouting(found.endpoint.max_queue_time)
    assert first.inactive_at_start == found.endpoint.cold_workers
    assert first.platform.load_s("sdxl") == 8.5
    assert first.platform.load_s("") == 0


def test_the_table_replaces_what_it_has() -> None:
    """Each key of [simulation] reaches the scenario."""
    text = """
[simulation]
readings = ["B'"]
gpu = "H100"
usd_hour = 2.4
speed_spread = 0.1
create_s = 1
pull_s = 2
wake_s = 3
spread = 0.4
slow_share = 0.05
slow_s = 6
failure_share = 0.07
machine_failures = 0.5
model_load_s = 9
model_loads = { video = 60 }
"""
    (case,) = study_cases(fleet(text), JOBS)
    boot, scenario = case.scenario.platform.boot, case.scenario
    assert case.name == "B'"
    assert (boot.creating_s, boot.loading_s, boot.starting_s, boot.spread) == (1, 2, 3, 0.4)
    assert (boot.slow_share, boot.slow_s, boot.fail_share) == (0.05, 6, 0.07)
    assert (scenario.platform.failures_per_hour, scenario.speed_spread) == (0.5, 0.1)
    assert [scenario.platform.load_s(kind) for kind in ("video", "sdxl")] == [60, 9]
    assert scenario.speed == pytest.approx(412 / 129)


def test_other_platforms_have_their_own_policies_and_times() -> None:
    """RunPod has both scalers, and Modal its pool, with the file's bounds."""
    found = fleet()
    delay, count = study_cases(found, JOBS, "runpod")
    assert [delay.name, count.name] == ["QUEUE_DELAY", "REQUEST_COUNT"]
    assert delay.scenario.platform.boot == RUNPOD.boot
    assert delay.scenario.routing == PoolRouting(1)
    assert delay.scenario.inactive_at_start == found.endpoint.max_workers
    (pool,) = study_cases(found, JOBS, "modal")
    assert pool.scenario.inactive_at_start == 0
    with pytest.raises(KeyError):
        study_cases(found, JOBS, "elsewhere")


def test_the_report_follows_the_variables_of_the_template() -> None:
    """The workers report as WORKER_VAST_RUNNING and WORKER_VAST_METERING of the file say."""
    old = 'WORKER_MODELS = "sdxl"'
    new = f'{old}\nWORKER_VAST_RUNNING = "excess"\nWORKER_VAST_METERING = "false"'
    (report,) = {case.scenario.report.running for case in study_cases(fleet(old=old, new=new), JOBS)}
    assert report is RunningJobs.EXCESS
    assert not any(case.scenario.report.metering for case in study_cases(fleet(old=old, new=new), JOBS))
    assert all(case.scenario.report.metering for case in study_cases(fleet(), JOBS))


def test_another_gpu_has_its_own_speed_and_price() -> None:
    """`with_gpu` drops the speed and the price of the file, which are those of its own GPU."""
    found = with_gpu(fleet('[simulation]\ngpu = "X"\nspeed = 3\nusd_hour = 9\n'), "L40S")
    assert (worker_gpu(found), found.simulation.usd_hour) == ("L40S", None)
    assert worker_speed(found) == pytest.approx(146 / 129)


def test_all_readings_have_a_policy() -> None:
    """Each reading makes a new autoscaler in each run."""
    cases = study_cases(fleet(), JOBS, readings=[*READINGS])
    assert len({type(case.scenario.policy()) for case in cases}) == 4
    assert cases[0].scenario.policy() is not cases[0].scenario.policy()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("creates_s = 1", "[simulation] creates_s: unknown key. Did you mean 'create_s'?"),
        ("create_s = -1", "[simulation] create_s: input should be greater than or equal to 0; seconds until a rented"),
        ('usd_hour = "1"', "[simulation] usd_hour: input should be a valid number; price of a worker in dollars"),
        ("failure_share = 1.0", "[simulation] failure_share: input should be less than 1; share of new workers that"),
        ('readings = ["D"]', "[simulation] readings[0]: input should be 'A', 'B', \"B'\" or 'C'"),
        ("readings = []", "[simulation] readings: list should have at least 1 item"),
        ('gpu = "RTX 9999"', "[simulation] gpu: 'RTX 9999' is no known GPU; write its `speed` as well"),
        ("model_loads = { a = -1 }", "[simulation] model_loads.a: input should be greater than or equal to 0"),
    ],
)
def test_errors_name_the_key(line: str, said: str) -> None:
    """A wrong key or value of [simulation] is an error like any other of the file."""
    assert any(problem.startswith(said) for problem in problems(f"[simulation]\n{line}\n")), problems(
        f"[simulation]\n{line}\n"
    )
