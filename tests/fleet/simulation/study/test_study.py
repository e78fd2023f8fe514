"""Studies: bills, figures, differences and lines of plots."""

from __future__ import annotations

import datetime
import math

import pytest

from tests.fleet.simulation.study.test_case import fleet
from worker.fleet.simulation.arrivals import Demand, daily, steady
from worker.fleet.simulation.job_mix import MixItem
from worker.fleet.simulation.life import LifeInterval, LifeState, SimulatedLife
from worker.fleet.simulation.mean_interval import MeanInterval
from worker.fleet.simulation.platform import RUNPOD, VAST
from worker.fleet.simulation.study.billing import StudyPrices, billed_life, study_prices
from worker.fleet.simulation.study.case import study_cases, with_gpu
from worker.fleet.simulation.study.figures import FIGURES, differences, interval_text
from worker.fleet.simulation.study.series import series_of
from worker.fleet.simulation.study.study import Study, run_study
from worker.prices.price_file import shipped_prices

TODAY = datetime.date(2026, 11, 30)
PRICED = '[simulation]\nusd_hour = 3.6\nreadings = ["A", "C"]\n'
SPEC = {spec.key: spec for spec in FIGURES}


def life(*intervals: tuple[LifeState, float, float]) -> SimulatedLife:
    return SimulatedLife(0, 1.0, tuple(LifeInterval(*interval) for interval in intervals), 0, 0, False)


WOKEN = life(
    (LifeState.CREATING, 0, 30),
    (LifeState.LOADING, 30, 230),
    (LifeState.READY, 230, 1000),
    (LifeState.INACTIVE, 1000, 3000),
    (LifeState.STARTING, 3000, 3050),
    (LifeState.READY, 3050, 4000),
    (LifeState.DRAINING, 4000, 4010),
)


def prices(platform: str, more: str = PRICED) -> StudyPrices:
    return study_prices(fleet(more), platform, shipped_prices(), TODAY)


def test_a_life_has_a_run_for_each_time_awake() -> None:
    """A worker that was stopped and woken has two runs. Vast bills the pull of the image, and RunPod does not."""
    vast, runpod = billed_life(WOKEN, VAST.billed), billed_life(WOKEN, RUNPOD.billed)
    assert (vast.created, vast.removed) == (0, 4010)
    assert [(run.pull_start, run.load_start, run.ready, run.stopped) for run in vast.runs] == [
        (30, 30, 230, 1000),
        (3000, 3000, 3050, 4010),
    ]
    assert [(run.pull_start, run.load_start) for run in runpod.runs] == [(30, 230), (3000, 3000)]


def test_the_bill_follows_the_platform() -> None:
    """At $3.60 an hour, Vast bills 970 + 1,010 s = $1.98 for the GPU, and RunPod 770 + 1,010 s = $1.78."""
    vast = prices("vast").total([WOKEN], VAST.billed)
    runpod = prices("runpod").total([WOKEN], RUNPOD.billed)
    assert vast is not None
    assert runpod is not None
    assert vast.gpu == pytest.approx(1.98)
    assert vast.unpriced == ("storage",)
    assert runpod.gpu == pytest.approx(1.78)


def test_a_worker_that_never_got_ready_is_billed() -> None:
    """A worker that fails while it loads is billed at Vast for that time."""
    failed = life((LifeState.CREATING, 0, 30), (LifeState.LOADING, 30, 130))
    bill = prices("vast").total([failed], VAST.billed)
    assert bill is not None
    assert bill.gpu == pytest.approx(0.1)


def test_a_missing_price_is_explained() -> None:
    """Without a price there are no dollars, and the reason names the key of the fleet file."""
    found = study_prices(with_gpu(fleet(), "RTX 2080 Ti"), "modal", shipped_prices(), TODAY)
    assert found.figure is None
    assert found.total([WOKEN], VAST.billed) is None
    assert "usd_hour in [simulation]" in found.problem


@pytest.fixture(scope="module")
def study() -> Study:
    """A study of an hour of steady load, in two readings with two seeds."""
    jobs = steady(Demand(4000, 1 / 24, [MixItem("a", 1, 5.0, 5.0)]))
    return run_study(study_cases(fleet(PRICED), jobs), prices("vast"), 2)


def test_a_study_has_figures_with_intervals(study: Study) -> None:
    """Each case has all figures, over its seeds."""
    assert [len(result.runs) for result in study.results] == [2, 2]
    for figures in study.figures.values():
        assert figures.keys() == SPEC.keys()
        usd, hours = figures["usd"], figures["gpu_hours"]
        assert usd is not None
        assert hours is not None
        assert usd.mean == pytest.approx(3.6 * hours.mean)
        assert usd.low <= usd.mean <= usd.high


def test_lines_agree_with_the_figures(study: Study) -> None:
    """The line of the dollars ends at the bill, and workers and waits are those of the run."""
    result = study.results[0]
    lines = series_of(result)
    run = result.runs[0]
    assert lines.usd[-1] == pytest.approx(run.usd)
    assert lines.usd == sorted(lines.usd)
    step_h = (lines.step_s[1] - lines.step_s[0]) / 3600
    assert run.utilisation * sum(lines.ready) * step_h == pytest.approx(run.work_hours, rel=0.02)
    assert sum(lines.waiting) * step_h * 3600 == pytest.approx(run.waits.mean_s * run.served, rel=0.02, abs=1)
    assert len(lines.bin_s) == len(lines.demand) + 1 == len(lines.wait_p95_s) + 1
    assert sum(lines.demand) / len(lines.demand) * lines.step_s[-1] == pytest.approx(
        sum(job.seconds for job in result.outcome.jobs) / result.case.scenario.speed
    )


def interval(mean: float, half: float = 0.0) -> MeanInterval:
    return MeanInterval(mean, mean - half, mean + half)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("wait_p95_s", interval(12.34, 0.5), "12.3 ± 0.5 s"),
        ("wait_p95_s", interval(250.4), "250 s"),
        ("wait_p95_s", interval(math.inf), "never"),
        ("usd", interval(3.204, 0.4), "$3.20 ± 0.40"),
        ("usd", interval(1234.5, 20), "$1,234 ± 20"),
        ("usd", None, "-"),
        ("cold_starts", interval(1117.2, 44), "1,117 ± 44"),
        ("utilisation", interval(12.6, 0.1), "12.6 ± 0.1 %"),
        ("failed", interval(0), "0"),
    ],
)
def test_figures_as_text(key: str, value: MeanInterval | None, text: str) -> None:
    """A figure has its interval, its unit, and no more digits than it is worth."""
    assert interval_text(SPEC[key], value) == text


def test_differences_are_large_and_sure() -> None:
    """A sentence stands for a figure whose intervals do not overlap, and which differs by more than 15 %."""
    base = dict.fromkeys(SPEC, interval(10))
    assert [*differences({"A": base, "B": base})] == []
    assert [*differences({"A": base, "B": {**base, "usd": interval(30, 1)}})] == [
        "cost: $30.0 ± 1.0 in B, $10.0 in A, 3.0 times as much"
    ]
    assert [*differences({"A": base, "B": {**base, "usd": interval(30, 21)}})] == []
    assert [*differences({"A": base, "B": {**base, "usd": interval(11)}})] == []
    assert [*differences({"A": base, "B": {**base, "wait_p99_s": interval(math.inf)}})] == [
        "wait, p99: never in B, 10.0 s in A"
    ]
    assert [*differences({"A": base, "B": {**base, "usd": None}})] == []


def test_the_same_study_has_the_same_result() -> None:
    """A study depends on nothing but its arguments."""
    jobs = daily(Demand(500, 0.2))
    first, second = (run_study(study_cases(fleet(PRICED), jobs), prices("vast"), 1) for _ in range(2))
    assert first.figures == second.figures
