"""The speed of one engine and of several engines."""

from __future__ import annotations

import pytest

from worker.load.pace import ENOUGH, Pace, Paces


def measured(units_per_s: float) -> Pace:
    """Return the speed of an engine after several jobs of this speed."""
    return Pace(*[units_per_s] * ENOUGH)


def test_speeds_of_alive_engines_add_up() -> None:
    """The total speed is the sum over alive engines. A dead engine does not count."""
    paces = Paces({"engine-0": measured(30.0), "engine-1": measured(10.0)})
    assert (paces.units_per_s, paces.share) == (40.0, 1.0)
    paces.alive = ["engine-0"]
    assert (paces.units_per_s, paces.share) == (30.0, 0.75)


def test_an_unmeasured_engine_has_the_median_speed() -> None:
    """An engine without enough jobs counts with the median of the others. Without any measurement the speed is 0."""
    paces = Paces({"engine-0": measured(30.0), "engine-1": Pace(), "engine-2": Pace()})
    assert paces.of("engine-1") == 30.0
    unknown = Paces({f"engine-{number}": Pace() for number in range(4)})
    unknown.alive = ["engine-0"]
    assert (unknown.units_per_s, unknown.share) == (0.0, 0.25)


def test_jobs_are_recorded_for_their_engine() -> None:
    """A job without an engine name belongs to the first engine."""
    paces = Paces({"engine-0": Pace(), "engine-1": Pace()})
    for _ in range(ENOUGH):
        paces.record("engine-1", 100.0, 2.0)
        paces.record(None, 100.0, 10.0)
        paces.record("engine-7", 100.0, 1.0)
    assert (paces.of("engine-0"), paces.of("engine-1")) == pytest.approx((10.0, 50.0))
