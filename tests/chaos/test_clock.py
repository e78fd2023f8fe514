"""The clock that the fault matrix moves under a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.testbed.clock import clock_env, set_clock

SAYS = "import time; print(time.time(), time.monotonic())"


@pytest.mark.tools("faketime")
def test_the_wall_clock_moves_and_the_monotonic_one_does_not(tmp_path: Path) -> None:
    """A process that is told a day later still measures its time-outs."""
    moved = clock_env(tmp_path)
    assert moved
    set_clock(tmp_path, 86400)
    told = []
    for env in ({}, moved):
        done = subprocess.run(
            [sys.executable, "-c", SAYS], env={**os.environ, **env}, capture_output=True, text=True, check=True
        )
        told.append([float(word) for word in done.stdout.split()])
    (wall, monotonic), (later, same) = told
    assert later - wall == pytest.approx(86400, abs=60)
    assert same - monotonic == pytest.approx(0, abs=60)
