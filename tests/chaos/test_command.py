"""The command of the chaos package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_tools_say_what_they_take() -> None:
    """`python -m chaos --help` names what can be run, and anything else is refused."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "soak" in done.stdout
    assert "fuzz" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "chaos", "nonsense"], cwd=ROOT, capture_output=True, check=False)
    assert wrong.returncode == 2
