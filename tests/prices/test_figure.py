"""Figures: their age, and how they are shown."""

from __future__ import annotations

import datetime

import pytest

from worker.prices.figure import Figure, Unit

TODAY = datetime.date(2026, 11, 30)


def figure(date: str) -> Figure:
    """Return a price of this date."""
    return Figure(0.43, Unit.GPU_HOUR, "a page", date)


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ("2026-11-30", "0.43 (2026-11-30)"),
        ("2026-09-01", "0.43 (2026-09-01)"),  # 90 days
        ("2026-08-31", "0.43 (2026-08-31, over 90 days old)"),  # 91 days
        ("2026-05-28", "0.43 (2026-05-28, over 90 days old)"),
        ("2026-09", "0.43 (2026-09)"),
        ("2026-08", "0.43 (2026-08, over 90 days old)"),
        ("", "0.43 (date unknown)"),
    ],
)
def test_old_figures_are_marked(date: str, text: str) -> None:
    """A figure older than 90 days, and one without a date, is marked. A month counts from its first day."""
    assert figure(date).text(TODAY) == text
    assert figure(date).is_stale(TODAY) == (text not in {"0.43 (2026-11-30)", "0.43 (2026-09-01)", "0.43 (2026-09)"})


def test_small_amounts_have_no_exponent() -> None:
    """0.00000222 is not shown as 2.22e-06, and 2.40 without its zero."""
    assert Figure(0.00000222, Unit.GIB_SECOND, "a page", "2026-11-30").text(TODAY) == "0.00000222 (2026-11-30)"
    assert Figure(2.40, Unit.GPU_HOUR, "a page", "2026-11-30").text(TODAY) == "2.4 (2026-11-30)"


def test_prices_convert_between_periods() -> None:
    """A price a second, an hour and a month of 30 days are the same price in different units."""
    assert Figure(0.00031, Unit.GPU_SECOND, "a page").usd_hour == pytest.approx(1.116)
    assert Figure(1.116, Unit.GPU_HOUR, "a page").usd_second == pytest.approx(0.00031)
    assert Figure(0.10, Unit.GB_MONTH, "a page").usd_hour == pytest.approx(0.10 / 720)
