"""The regret of reports, worked by hand, and the parts of docs/fleet.md."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.fleet.__main__ import PARTS
from bench.fleet.million import RUNS, large_trace
from bench.fleet.part import HEAD, FleetPart, FleetRow
from bench.fleet.reports.cases import OTHERS, PAIRS, PATTERNS, pattern_jobs
from bench.fleet.reports.measure import default_pair
from bench.fleet.reports.regret import Regrets, Setting
from bench.fleet.reports.tables import notes
from bench.fleet.reports.tuning import TunedFleet, TuningTask, tune
from bench.load.page import MeasuredPart, with_part
from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.policies.vast_readings import VastReading

PAGE = Path(__file__).parents[3] / "docs" / "fleet.md"
A, C = VastReading.UTILISATION, VastReading.FORECAST
FIRST, SECOND = PAIRS[0], PAIRS[1]


def regrets(hours: dict[tuple[VastReading, str], tuple[float, float]], seeds: int = 1) -> Regrets:
    """Return the regrets for the GPU hours of the first two pairs, the same with each seed."""
    return Regrets(
        [
            TunedFleet(TuningTask(case, reading, pattern, seed), each, 0.5, 10.0)
            for (reading, pattern), pair in hours.items()
            for case, each in zip((FIRST, SECOND), pair, strict=True)
            for seed in range(seeds)
        ]
    )


def test_regret_is_what_a_report_needs_beyond_the_best() -> None:
    """Under A the first needs 10 hours and the second 12 (20 % more). Under C it is 30 against 20 (50 % more)."""
    found = regrets({(A, "daily"): (10, 12), (C, "daily"): (30, 20)})
    assert found.regret(Setting(A, "daily"), SECOND.name).mean == pytest.approx(0.2)
    assert found.worst(FIRST.name).mean == pytest.approx(0.5)
    assert found.worst(FIRST.name, A).mean == 0
    assert found.best([FIRST, SECOND])[0] is SECOND
    assert found.best([FIRST, SECOND], A)[0] is FIRST
    assert found.cheapest(Setting(C, "daily")) == SECOND.name


def test_a_report_that_never_reaches_the_goal_has_an_infinite_regret() -> None:
    """It is last, and the page says that it is not reached."""
    found = regrets({(A, "daily"): (math.inf, 12)})
    assert found.worst(FIRST.name).mean == math.inf
    assert found.best([FIRST, SECOND]) == [SECOND, FIRST]


def test_the_page_says_where_the_default_loses() -> None:
    """The first pair needs 50 % more than the second under C, and nothing more under A."""
    every = [(reading, pattern) for reading in (A, VastReading.QUEUE, C) for pattern in PATTERNS]
    hours = {key: (30.0, 20.0) if key[0] is C else (10.0, 12.0) for key in every}
    found = regrets(hours, seeds=2)
    for case in PAIRS[2:]:
        assert case.name not in found.cases
    text = "\n".join(notes(found, FIRST.name, [FIRST, SECOND]))
    assert f"C, daily: 50% ± 0 more than {SECOND.name}" in text
    assert "- A, daily" not in text


def test_the_default_of_the_worker_is_one_of_the_pairs() -> None:
    """The simulation reports as a worker does that has no settings."""
    pair, report = default_pair().report, LoadReport()
    assert (pair.running, pair.metering) == (report.running, report.metering)


def test_a_search_keeps_the_waits() -> None:
    """A search finds parameters with which the waits are short, and their GPU hours are more than the work."""
    found = tune(TuningTask(OTHERS[0], A, "steady", 1))
    assert 0.05 <= found.target_util <= 1
    work_hours = sum(job.seconds for job in pattern_jobs("steady", 1)) / 3600
    assert work_hours < found.gpu_hours < 5 * work_hours


@pytest.mark.parametrize("name", RUNS)
def test_both_large_runs_serve_all_jobs(name: str) -> None:
    """The simulation and the plain loop serve each job of a short trace."""
    assert RUNS[name](large_trace(500)) == 500


def test_each_part_has_its_place_on_the_page() -> None:
    """A result of each part can be written into docs/fleet.md, and replaces only its own."""
    text = PAGE.read_text("utf-8")
    for name in PARTS:
        part = MeasuredPart(name, FleetPart([FleetRow(f"row of {name}", "1", "2", True)], ["note"]), [("when", "now")])
        text = with_part(text, part, list(PARTS), HEAD)
    for name in PARTS:
        assert text.count(f"| row of {name} | 1 | 2 | yes<!-- {name} --> |") == 1
