"""Targets and budgets as text, and the steps of parameters."""

from __future__ import annotations

import math

import pytest

from worker.errors import TargetInvalid
from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.advice.score import Score
from worker.fleet.advice.target import AdviceTarget, read_budget, read_target
from worker.fleet.simulation.scenario import WaitTarget


@pytest.mark.parametrize(
    ("text", "seconds", "quantile"),
    [
        ("p95 wait 60 s", 60, 0.95),
        ("P50 wait 2 min", 120, 0.5),
        ("p99 wait <= 1.5m", 90, 0.99),
        ("p90  wait  ≤ 30 seconds", 30, 0.9),
        ("p95 wait 0 s", 0, 0.95),
    ],
)
def test_a_target_is_a_quantile_and_a_time(text: str, seconds: float, quantile: float) -> None:
    """A target has one of four quantiles, and a time in seconds or minutes."""
    assert read_target(text) == WaitTarget(seconds, quantile)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write a quantile, the word wait and a time"),
        ("60 s", "write a quantile, the word wait and a time"),
        ("p95 latency 60 s", "write a quantile, the word wait and a time"),
        ("p97 wait 60 s", "use one of p50, p90, p95, p99"),
        ("p95 wait soon", "'soon' is no time"),
        ("p95 wait -5 s", "'-5 s' is no time"),
        ("p95 wait 60", "'60' has no unit; write s for seconds"),
        ("p95 wait 2 h", "'h' is no unit"),
    ],
)
def test_a_text_that_is_no_target_is_an_error_with_the_cure(text: str, reason: str) -> None:
    """The error names the part that is wrong, and what to write instead."""
    with pytest.raises(TargetInvalid) as caught:
        read_target(text)
    assert caught.value.code == "target_invalid"
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "amount"), [("300", 300), ("$1,200", 1200), ("99.5 USD", 99.5), ("300 a month", 300), ("$50/month", 50)]
)
def test_a_budget_is_dollars_a_month(text: str, amount: float) -> None:
    """A budget is an amount above 0, with or without the currency and the month."""
    assert read_budget(text) == amount


@pytest.mark.parametrize("text", ["", "0", "-5", "nan", "inf", "300 EUR", "10 an hour", "lots"])
def test_a_text_that_is_no_budget_is_an_error(text: str) -> None:
    """Other currencies, other periods and amounts that are not above 0 are errors."""
    with pytest.raises(TargetInvalid, match="dollars a month"):
        read_budget(text)


def test_a_target_without_a_wait_shows_the_p95() -> None:
    """A budget alone shows the p95, and the budget of a target keeps its quantile."""
    assert AdviceTarget.of(None, 300).quantile_name == "p95"
    both = AdviceTarget.of(WaitTarget(5, 0.5), 300)
    assert (both.quantile_name, both.budget_alone) == ("p50", AdviceTarget(None, 300, 0.5))
    assert str(both) == "p50 wait of at most 5 s, at most $300 a month"


def test_steps_of_a_parameter_follow_its_order() -> None:
    """A step leads to the next value in either direction, also from a value that is not tried; never is the last."""
    knob = Knob("inactivity_timeout", (60, 600, -1), zero_is_never=True)
    assert [knob.step(600, direction) for direction in (-1, 1)] == [60, -1]
    assert [knob.step(100, direction) for direction in (-1, 1)] == [60, 600]
    assert [knob.step(0, direction) for direction in (-1, 1)] == [600, None]
    assert knob.step(60, -1) is None


def test_a_candidate_has_other_values_on_demand() -> None:
    """A changed candidate keeps the order of its settings."""
    candidate = Candidate("L40S", (("a", 1.0), ("b", 2.0)))
    assert candidate.having(b=3.0).settings == (("a", 1.0), ("b", 3.0))
    assert candidate.value("b") == 2.0


def test_keeping_the_target_counts_before_dollars() -> None:
    """Fewer late jobs come first, then clearly fewer dollars, then a shorter wait."""
    kept, late = Score(0, 500, 10), Score(0.01, 100, 70)
    assert kept.is_better(late)
    assert not late.is_better(kept)
    assert Score(0, 490, 20).is_better(kept)
    assert not Score(0, 499, 10).is_better(kept)
    assert Score(0, 499, 5).is_better(kept)
    assert not Score(math.inf, 0, 0).is_better(late)
