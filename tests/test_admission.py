"""Who may come in, and when the others are told to come back."""

from __future__ import annotations

import pytest

from worker.admission import LONGEST_RETRY_S, Load, Pace, admit, retry_after
from worker.errors import WorkerBusy


def test_below_the_limit_everybody_comes_in() -> None:
    """No refusal while there is a place."""
    admit(Load(jobs=9, workload=900), 10, Pace())


def test_at_the_limit_the_refusal_says_when() -> None:
    """Retry-After is the measured time of one average job."""
    with pytest.raises(WorkerBusy) as refused:
        admit(Load(jobs=10, workload=1000), 10, Pace(units_per_s=20))
    assert refused.value.retry_after_s == 5


def test_retry_after_stays_in_bounds() -> None:
    """Neither nothing nor for ever, whatever was measured."""
    assert retry_after(Load(1, 1e9), Pace(1.0)) == LONGEST_RETRY_S
    assert retry_after(Load(5, 5), Pace(1e9)) == 1
    assert retry_after(Load(), Pace()) == 1


def test_pace_follows_what_is_measured() -> None:
    """The first job sets the pace, later ones move it; a job without a time teaches nothing."""
    pace = Pace()
    pace.learn(100, 10)
    assert pace.units_per_s == 10
    pace.learn(100, 5)
    assert 10 < pace.units_per_s < 20
    before = pace.units_per_s
    pace.learn(100, 0)
    assert pace.units_per_s == before
