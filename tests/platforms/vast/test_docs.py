"""docs/vast.md agrees with the code and the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.load.workload import workload
from worker.platforms.vast.settings import VastSettings
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import read_library

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "vast.md").read_text("utf-8")


def test_every_setting_is_described() -> None:
    """The table has the settings of the code."""
    rows = [f"| `{env}` | {default + ' ' if default else ''}| {text} |" for env, default, text in VastSettings.table()]
    assert [row for row in rows if row not in PAGE] == []


def test_every_trap_has_its_row() -> None:
    """The table has T1 to T47, in order."""
    numbers = [int(number) for number in re.findall(r"^\| T(\d+) \|", PAGE, re.MULTILINE)]
    assert numbers == list(range(1, 48))


def test_every_test_that_is_named_exists() -> None:
    """Every test that the page names exists."""
    folders = (ROOT / "tests" / "platforms", ROOT / "tests" / "fleet", ROOT / "tests" / "simulators")
    tests = "".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()


@pytest.mark.parametrize("name", ["sdxl", "flux-dev"])
def test_the_units_of_the_example_are_those_of_the_templates(name: str) -> None:
    """The worked example has the units of the templates with their defaults."""
    units = workload(fill(read_library("shipped")[name], {}, lambda _: 1).prompt)
    assert f"`{name}` ({units:.2f} units)" in PAGE.replace("\n", " ")
