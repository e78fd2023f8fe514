"""The speed of engines, by the work that they have done."""

from __future__ import annotations

import json
import random

import pytest

from worker.load.throughput import RUNS, DoneWork, EngineThroughput, Throughput

MINUTE = 60.0


def test_the_speed_starts_with_the_benchmark() -> None:
    """The speed of an engine starts with the units of the benchmark, divided by their seconds."""
    throughput = Throughput()
    throughput.start("engine-0", [DoneWork(6.0, 12.0), DoneWork(6.0, 8.0)], 0.0)
    assert throughput.units_per_s("engine-0", 0.0) == 0.6
    assert throughput.units_per_s("engine-0", 1e9) == 0.6


def test_the_speed_moves_by_a_tenth_a_minute() -> None:
    """After the start the speed rises and falls by at most 10 % a minute, whatever the runs are."""
    engine = EngineThroughput(0.0, [DoneWork(10.0, 10.0)])
    before, now, rng = 1.0, 0.0, random.Random(3)
    for _ in range(500):
        engine.record(DoneWork(rng.uniform(0.1, 100.0), rng.uniform(0.1, 100.0)), now)
        elapsed = rng.uniform(0.0, 90.0)
        now += elapsed
        speed, most = engine.units_per_s(now), 1.1 ** (elapsed / MINUTE) * (1 + 1e-9)
        assert before / most <= speed <= before * most
        before = speed


def test_time_without_runs_does_not_let_the_speed_jump() -> None:
    """A run after an idle hour moves the speed no faster than one after another run."""
    engine = EngineThroughput(0.0, [DoneWork(1.0, 1.0)])
    engine.record(DoneWork(1000.0, 10.0), 3600.0)
    assert engine.units_per_s(3600.0) == 1.0
    assert engine.units_per_s(3600.0 + MINUTE) == pytest.approx(1.1)


def test_one_run_that_is_far_too_fast_does_not_outweigh_the_others() -> None:
    """A job of 10,000 units that takes a hundredth of a second moves the speed less than a usual job does."""
    engine = EngineThroughput(0.0, [DoneWork(4.0, 4.0)] * 10)
    engine.record(DoneWork(10_000.0, 0.01), 0.0)
    assert engine.units_per_s(MINUTE * 60) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("run", [DoneWork(0.01, 0.9), DoneWork(0.01, 300.0)])
def test_one_run_of_tiny_units_does_not_move_the_speed(run: DoneWork) -> None:
    """A job without work for the GPU says nothing about its speed, whatever the time that it takes."""
    throughput = Throughput()
    throughput.start("engine-0", [DoneWork(4.0, 4.0)], 0.0)
    throughput.record("engine-0", run, 0.0)
    throughput.record("engine-1", run, 0.0)  # which was down during the benchmark
    assert throughput.total(["engine-0", "engine-1"], 60 * MINUTE) == pytest.approx(2.0, rel=0.02)


def test_short_runs_do_not_push_the_benchmark_out() -> None:
    """The runs replace the speed at the start as far as they are enough work."""
    engine = EngineThroughput(0.0, [DoneWork(30.0, 30.0)])
    for _ in range(RUNS):
        engine.record(DoneWork(0.05, 0.1), 0.0)
    assert engine.units_per_s(60 * MINUTE) == pytest.approx((RUNS * 0.05 + 55.0) / 60.0)


def test_the_speed_becomes_that_of_the_last_runs() -> None:
    """After RUNS runs nothing is left of the benchmark, and the speed is units divided by seconds of all of them."""
    engine = EngineThroughput(0.0, [DoneWork(90.0, 90.0)])
    for number in range(RUNS):
        engine.record(DoneWork(4.0, 2.0) if number % 2 else DoneWork(40.0, 30.0), 0.0)
    assert engine.units_per_s(30 * MINUTE) == pytest.approx(44 / 32)


@pytest.mark.parametrize(
    "run", [(5.0, 0.0), (0.0, 5.0), (5.0, 1e-5), (5.0, 1e6), (float("nan"), 1.0), (1.0, float("inf"))]
)
def test_a_run_without_work_or_time_does_not_count(run: tuple[float, float]) -> None:
    """A run that was cached, or whose numbers are impossible, does not change the speed."""
    engine = EngineThroughput(0.0, [DoneWork(2.0, 1.0)])
    engine.record(DoneWork(*run), 0.0)
    assert engine.units_per_s(1e6) == 2.0


def test_an_engine_without_runs_is_as_fast_as_the_others() -> None:
    """An engine that was down during the benchmark starts with the mean speed of the others."""
    throughput = Throughput()
    assert throughput.total(["engine-0"], 0.0) == 0.0
    throughput.start("engine-0", [DoneWork(2.0, 1.0)], 0.0)
    throughput.start("engine-1", [DoneWork(4.0, 1.0)], 0.0)
    assert throughput.total(["engine-0", "engine-1", "engine-2"], 0.0) == 9.0
    throughput.record("engine-2", DoneWork(60.0, 60.0), 0.0)
    assert throughput.total(["engine-0", "engine-1", "engine-2"], 0.0) == 9.0
    assert throughput.total(["engine-0", "engine-1", "engine-2"], 60 * MINUTE) == pytest.approx(7.0)


def test_an_engine_that_is_lost_takes_its_share_away() -> None:
    """The total is that of the engines that are named."""
    throughput = Throughput()
    for number, units in enumerate((2.0, 4.0)):
        throughput.start(f"engine-{number}", [DoneWork(units, 1.0)], 0.0)
    assert throughput.total(["engine-1"], 0.0) == 4.0


def test_the_speeds_survive_a_restart() -> None:
    """What is stored as JSON and read again gives the same speeds, now and later."""
    throughput = Throughput()
    throughput.start("engine-0", [DoneWork(2.0, 1.0)], 0.0)
    throughput.record("engine-0", DoneWork(9.0, 2.0), 0.0)
    throughput.start("engine-1", [DoneWork(3.0, 4.0)], 0.0)
    stored = json.loads(json.dumps(throughput.saved(MINUTE)))
    restored = Throughput()
    restored.restore(stored, 5000.0)
    for later in (0.0, MINUTE, 20 * MINUTE):
        for engine in ("engine-0", "engine-1"):
            expected = throughput.units_per_s(engine, MINUTE + later)
            assert restored.units_per_s(engine, 5000.0 + later) == pytest.approx(expected)


@pytest.mark.parametrize(
    "saved",
    [
        None,
        [],
        {"engine-0": 1},
        {"engine-0": {"speed": 1.0, "runs": []}},
        {"engine-0": {"start": 1.0, "speed": "1", "runs": []}},
        {"engine-0": {"start": 1.0, "speed": -1.0, "runs": []}},
        {"engine-0": {"start": 1.0, "speed": 1.0, "runs": [[1.0]]}},
        {"engine-0": {"start": 1.0, "speed": 1.0, "runs": [["1", 1.0]]}},
    ],
)
def test_what_is_not_stored_speeds_is_refused(saved: object) -> None:
    """A damaged file is an error, and no speed."""
    with pytest.raises(ValueError, match="not a"):
        Throughput().restore(saved, 0.0)
