"""Predictions: what is left of something that has not ended."""

from __future__ import annotations

import itertools
import random

import pytest

from worker.load.prediction import NOTHING, Prediction, total


def test_what_is_left_follows_from_the_distribution() -> None:
    """`after` returns the median and the 90 % quantile of the runs that have not ended by then."""
    draw, predicted = random.Random(5), Prediction(10.0, 10.0 * 2.718281828**0.25632)  # a log deviation of 0.2
    runs = [10.0 * 2.718281828 ** draw.gauss(0.0, 0.2) for _ in range(40_000)]
    for elapsed_s in (2.0, 8.0, 10.0, 13.0):
        left = sorted(seconds - elapsed_s for seconds in runs if seconds > elapsed_s)
        found = predicted.after(elapsed_s)
        assert found.p50_s == pytest.approx(left[len(left) // 2], rel=0.05)
        assert found.p90_s == pytest.approx(left[len(left) * 9 // 10], rel=0.05)


@pytest.mark.parametrize("p90_s", [10.0, 10.5, 12.0])
def test_the_rest_falls_and_never_becomes_nothing(p90_s: float) -> None:
    """`after` falls until the median, and stays positive and continuous however long something takes."""
    predicted = Prediction(10.0, p90_s)
    rests = [predicted.after(elapsed / 10).p50_s for elapsed in range(2000)]
    assert all(rest > 0 for rest in rests)
    assert rests[:90] == sorted(rests[:90], reverse=True)
    assert all(abs(after - before) < 1.0 for before, after in itertools.pairwise(rests))


def test_predictions_add_up() -> None:
    """The total of predictions is the sum of their medians and of their quantiles. Nothing stays nothing."""
    assert total([Prediction(1.0, 2.0), Prediction(3.0, 5.0)]) == Prediction(4.0, 7.0)
    assert total([]) == NOTHING == NOTHING.after(5.0)
