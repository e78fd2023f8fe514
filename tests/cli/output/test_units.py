"""Durations and sizes as text."""

from __future__ import annotations

import pytest

from worker.cli.output.units import duration, size


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 ms"), (0.0004, "0.4 ms"), (0.012, "12 ms"), (0.99951, "1.00 s"), (3.214, "3.21 s"), (245, "4 min 05 s")],
)
def test_durations(seconds: float, said: str) -> None:
    """`duration` keeps two or three significant digits."""
    assert duration(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(512, "512 B"), (35_328, "34.5 KiB"), (3 * 1024**4, "3072.0 GiB")])
def test_sizes(count: float, said: str) -> None:
    """`size` uses binary units."""
    assert size(count) == said
