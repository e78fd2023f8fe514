"""docs/runpod.md has every setting, every trap, and only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from worker.platforms.runpod.settings import RunpodSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "runpod.md").read_text("utf-8")


def test_every_setting_has_its_row() -> None:
    """The table of settings is that of the code."""
    for name, default, meaning in RunpodSettings.table():
        assert f"| `{name}` | {default} | {meaning} |" in PAGE


def test_every_trap_has_its_row() -> None:
    """The traps R1 to R27 are listed, each once."""
    assert re.findall(r"^\| R(\d+) \|", PAGE, re.MULTILINE) == [str(number) for number in range(1, 28)]


def test_every_named_test_exists() -> None:
    """Each test in the tables is one of this folder."""
    tests = {
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named <= tests
