"""A machine is found to be slow after minutes, and retired only with much more evidence."""

from __future__ import annotations

import random

import pytest

from worker.errors import StartupError
from worker.gpus.machine_health import (
    JUDGED_NODES,
    REPORTING_SHARE,
    SPREAD,
    TRUSTED_RUNS,
    EngineSpeed,
    HealthLimits,
    MachineHealth,
    SpeedChange,
    retirement_delay,
)

NODE_S = 10.0
"""Seconds between two nodes in these tests."""
LIMITS = HealthLimits(slow_factor=1.5, slow_after_s=300.0, min_perf=0.5)


def run(
    health: MachineHealth,
    slowdown: float,
    seconds: float,
    start: float = 0.0,
    runs: float = 100.0,
    engine: str = "engine-0",
) -> list[tuple[float, SpeedChange | str]]:
    """Run a node each NODE_S seconds with this slowdown. Return the changes and the end with their times."""
    found: list[tuple[float, SpeedChange | str]] = []
    now = start
    while now < start + seconds:
        change = health.add(engine, EngineSpeed(slowdown, runs), now)
        if change is not None:
            found.append((now, change))
        if health.is_retired(now):
            found.append((now, "retired"))
        now += NODE_S
    return found


def test_a_slow_engine_is_noticed_once_after_minutes() -> None:
    """After five minutes of slow nodes the engine is slow, and this is reported once."""
    health = MachineHealth(HealthLimits(), ["engine-0"])
    assert run(health, 1.8, 2000) == [(300.0, SpeedChange("engine-0", slow=True, slowdown=1.8))]
    assert health.slow_engines == {"engine-0": 1.8}


def test_it_is_noticed_when_it_is_fast_again() -> None:
    """The end of a slow phase is reported once, after the same time."""
    health = MachineHealth(HealthLimits(), ["engine-0"])
    run(health, 1.8, 400)
    assert run(health, 1.1, 1000, start=400) == [(700.0, SpeedChange("engine-0", slow=False, slowdown=1.1))]
    assert health.slow_engines == {}


def test_a_speed_around_the_limit_is_no_change() -> None:
    """A slowdown that is above the factor only now and then is not noticed."""
    health = MachineHealth(HealthLimits(), ["engine-0"])
    for number in range(200):
        assert run(health, 1.6, 100, start=number * 200) == []
        assert run(health, 1.4, 100, start=number * 200 + 100) == []


def test_a_few_nodes_over_a_long_time_are_not_enough() -> None:
    """Two slow nodes with an hour between them show nothing."""
    health = MachineHealth(HealthLimits(), ["engine-0"])
    for now in (0.0, 3600.0, 7200.0, 10800.0):
        assert health.add("engine-0", EngineSpeed(3.0), now) is None
    assert health.add("engine-0", EngineSpeed(3.0), 14400.0) is not None


def test_each_engine_is_judged_alone() -> None:
    """One slow GPU of two is named, and the other is not."""
    health = MachineHealth(HealthLimits(), ["engine-0", "engine-1"])
    run(health, 1.0, 400)
    run(health, 2.0, 400, engine="engine-1")
    assert health.slow_engines == {"engine-1": 2.0}


def test_a_machine_is_retired_once() -> None:
    """A machine at 40 % of its class is retired after the given time, and not again."""
    health = MachineHealth(LIMITS, ["engine-0"], lambda: 400.0)
    judged_at = (JUDGED_NODES - 1) * NODE_S
    found = [at for at, what in run(health, 2.5, 5000) if what == "retired"]
    assert found == [judged_at + 400.0]
    assert "retired" not in [what for _, what in run(health, 2.5, 5000, start=5000)]


@pytest.mark.parametrize(
    ("limits", "slowdown", "runs", "delay_s"),
    [
        (HealthLimits(), 50.0, 1000.0, 300.0),
        (LIMITS, 1.9, 1000.0, 300.0),
        (LIMITS, 50.0, TRUSTED_RUNS - 1, 300.0),
        (LIMITS, 50.0, 0.0, 300.0),
        (LIMITS, 50.0, 1000.0, None),
    ],
    ids=["off", "fast enough", "too few imported runs", "nothing imported", "not chosen"],
)
def test_a_machine_is_not_retired(limits: HealthLimits, slowdown: float, runs: float, delay_s: float | None) -> None:
    """Without the setting, the evidence or the choice, a machine goes on, however slow it is."""
    health = MachineHealth(limits, ["engine-0"], lambda: delay_s)
    assert "retired" not in [what for _, what in run(health, slowdown, 20_000, runs=runs)]


def test_a_few_nodes_do_not_retire_a_machine() -> None:
    """Fewer than 20 nodes are no evidence, however long they take."""
    health = MachineHealth(LIMITS, ["engine-0"], lambda: 300.0)
    for number in range(JUDGED_NODES - 1):
        health.add("engine-0", EngineSpeed(9.0, 1000.0), number * 600.0)
        assert not health.is_retired(number * 600.0)


def test_a_short_recovery_starts_the_time_again() -> None:
    """The machine must be too slow without interruption."""
    health = MachineHealth(LIMITS, ["engine-0"], lambda: 400.0)
    start = 0.0
    for _ in range(20):
        assert "retired" not in [what for _, what in run(health, 2.5, 390, start=start)]
        assert "retired" not in [what for _, what in run(health, 1.0, 10, start=start + 390)]
        start += 400


def test_one_slow_gpu_of_eight_does_not_retire_the_machine() -> None:
    """The mean of all engines decides."""
    engines = [f"engine-{number}" for number in range(8)]
    health = MachineHealth(LIMITS, engines, lambda: 300.0)
    assert "retired" not in [what for _, what in run(health, 20.0, 5000)]
    assert health.perf == pytest.approx((7 + 1 / 20) / 8)
    for number, engine in enumerate(engines[1:], start=1):
        found = [what for _, what in run(health, 20.0, 5000, start=number * 5000, engine=engine)]
        assert ("retired" in found) == (number == 4), "5 of 8 GPUs at 5 % are 41 % of the machine"


def test_wrong_priors_never_end_a_fleet() -> None:
    """If all machines look too slow, half of them are never retired, and few of the others end at the same time."""
    rng = random.Random(7)
    delays = [retirement_delay([f"GPU-{rng.getrandbits(128):032x}"], 300.0) for _ in range(2000)]
    ends = sorted(delay for delay in delays if delay is not None)
    assert 0.45 < len(ends) / len(delays) < 0.55
    assert 300.0 <= ends[0] < 310.0
    assert ends[-1] <= 300.0 * (1 + SPREAD)
    within_5_min = max(sum(start <= end < start + 300 for end in ends) for start in range(300, 1800, 10))
    assert within_5_min / len(delays) < 0.13, "while one is replaced, the others work"


def test_replacements_do_not_go_on_without_end() -> None:
    """Each machine that is retired is replaced by another one. With wrong priors, a fleet is replaced once at most."""
    rng = random.Random(8)
    rented = 0
    for _ in range(1000):
        while retirement_delay([f"GPU-{rng.getrandbits(128):032x}"], 300.0) is not None:
            rented += 1
    assert rented / 1000 == pytest.approx(REPORTING_SHARE / (1 - REPORTING_SHARE), abs=0.15)


def test_the_choice_belongs_to_the_machine() -> None:
    """The same GPUs give the same choice, in any order. A machine without a known GPU is never retired."""
    assert retirement_delay(["GPU-a", "GPU-b"], 300.0) == retirement_delay(["GPU-b", "GPU-a"], 300.0)
    assert retirement_delay([], 300.0) is None


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"slow_factor": 1.0}, "WORKER_SLOW_FACTOR"),
        ({"slow_factor": float("nan")}, "WORKER_SLOW_FACTOR"),
        ({"min_perf": 0.95}, "WORKER_MIN_PERF"),
        ({"min_perf": -0.1}, "WORKER_MIN_PERF"),
        ({"min_perf": float("nan")}, "WORKER_MIN_PERF"),
    ],
)
def test_limits_that_would_hit_healthy_machines_are_refused(limits: dict[str, float], name: str) -> None:
    """A limit near the usual speed stops the start, and the message names the setting."""
    with pytest.raises(StartupError, match=name):
        HealthLimits(**limits)
