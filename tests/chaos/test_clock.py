"""Tests of the movable clock of the fault matrix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.testbed.clock import clock_env, set_clock

PRINT_CLOCKS = "import time; print(time.time(), time.monotonic())"


@pytest.mark.tools("faketime")
def test_the_wall_clock_moves_and_the_monotonic_one_does_not(tmp_path: Path) -> None:
    """set_clock moves the wall clock of a process by a day and leaves its monotonic clock unchanged."""
    clock = clock_env(tmp_path)
    assert clock
    set_clock(tmp_path, 86400)
    clocks = []
    for env in ({}, clock):
        done = subprocess.run(
            [sys.executable, "-c", PRINT_CLOCKS], env={**os.environ, **env}, capture_output=True, text=True, check=True
        )
        clocks.append([float(word) for word in done.stdout.split()])
    (wall, monotonic), (moved_wall, moved_monotonic) = clocks
    assert moved_wall - wall == pytest.approx(86400, abs=60)
    assert moved_monotonic - monotonic == pytest.approx(0, abs=60)
