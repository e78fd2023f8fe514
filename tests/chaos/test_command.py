"""Tests of the command `python -m chaos`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_help_lists_the_runs() -> None:
    """The command lists its runs with --help, and rejects an unknown run with exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "soak" in done.stdout
    assert "fuzz" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "chaos", "nonsense"], cwd=ROOT, capture_output=True, check=False)
    assert wrong.returncode == 2
