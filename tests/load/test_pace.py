"""The speeds of engines, alone and together."""

from __future__ import annotations

import pytest

from worker.load.pace import ENOUGH, Pace, Paces


def measured(units_per_s: float) -> Pace:
    return Pace(*[units_per_s] * ENOUGH)


def test_engines_that_are_alive_work_together() -> None:
    """Their speeds add up; one that dies takes its share away."""
    paces = Paces({"engine-0": measured(30.0), "engine-1": measured(10.0)})
    assert (paces.units_per_s, paces.share) == (40.0, 1.0)
    paces.alive = ["engine-0"]
    assert (paces.units_per_s, paces.share) == (30.0, 0.75)


def test_an_engine_that_has_not_run_counts_as_the_others() -> None:
    """Before anything was measured, each counts alike and none says seconds."""
    paces = Paces({"engine-0": measured(30.0), "engine-1": Pace(), "engine-2": Pace()})
    assert paces.of("engine-1") == 30.0
    unknown = Paces({f"engine-{number}": Pace() for number in range(4)})
    unknown.alive = ["engine-0"]
    assert (unknown.units_per_s, unknown.share) == (0.0, 0.25)


def test_each_learns_from_its_own_jobs() -> None:
    """A job that names no engine is one of a worker that had only the first."""
    paces = Paces({"engine-0": Pace(), "engine-1": Pace()})
    for _ in range(ENOUGH):
        paces.record("engine-1", 100.0, 2.0)
        paces.record(None, 100.0, 10.0)
        paces.record("engine-7", 100.0, 1.0)
    assert (paces.of("engine-0"), paces.of("engine-1")) == pytest.approx((10.0, 50.0))
