"""The units that a call is expected to have before it runs."""

from __future__ import annotations

from worker.load.call_units import MOST_SAMPLES, MOST_SHAPES, CallUnits, numbers_in


def test_the_median_of_the_same_numbers_counts() -> None:
    """Calls with the same numbers decide, or else all calls of the handler. Seeds make no difference."""
    units = CallUnits()
    for seed, amount in enumerate((1.0, 9.0, 2.0)):
        units.learn("flux", {"steps": 4, "seed": seed}, amount)
    units.learn("flux", {"steps": 20}, 10.0)
    assert units.expected("flux", {"steps": 4, "noise_seed": 7}) == 2.0
    assert units.expected("flux", {"steps": 20}) == 10.0
    assert units.expected("flux", {"steps": 50}) == 5.5
    assert units.expected("other", {}) == 0.0


def test_old_calls_are_forgotten() -> None:
    """Only the last calls count, and the number of shapes is limited."""
    units = CallUnits()
    for _ in range(MOST_SAMPLES):
        units.learn("flux", {}, 100.0)
    for _ in range(MOST_SAMPLES):
        units.learn("flux", {}, 1.0)
    assert units.expected("flux", {}) == 1.0
    for width in range(MOST_SHAPES + 10):
        units.learn("flux", {"width": width}, 3.0)
    assert units.expected("flux", {"width": 0}) == units.expected("flux", {"width": -1})


def test_only_numbers_decide() -> None:
    """Texts and pictures do not affect what is expected."""
    assert numbers_in({"prompt": "x", "steps": 4, "cfg": 1.5, "loud": True, "sizes": [1]}) == {
        "steps": 4,
        "cfg": 1.5,
        "loud": True,
    }
