"""ci/tests.sh runs the tests, and failed ones a second time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.workflows import ROOT

LOSES_A_RACE = """
from pathlib import Path
def test_loses_a_race():
    marker = Path(__file__).with_suffix(".ran")
    ran_before = marker.exists()
    marker.touch()
    assert ran_before
"""
FAILS = "def test_fails():\n    assert False\n"
PASSES = "def test_passes():\n    pass\n"


def run(folder: Path, *tests: str) -> tuple[int, str]:
    """Run ci/tests.sh on a folder with these test files, and return its exit code and output."""
    for number, text in enumerate(tests):
        (folder / f"test_{number}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {**os.environ, "PYTEST": str(Path(sys.executable).with_name("pytest"))}
    command = [ROOT / "ci" / "tests.sh", "2", "."]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_tests_that_pass_run_once(tmp_path: Path) -> None:
    """A run without a failed test succeeds and repeats nothing."""
    code, said = run(tmp_path, PASSES, PASSES)
    assert (code, "once more" in said) == (0, False), said


def test_a_test_that_passes_alone_is_listed_as_flaky(tmp_path: Path) -> None:
    """A test that fails first and passes the second time is named, and the run succeeds."""
    code, said = run(tmp_path, PASSES, LOSES_A_RACE)
    assert (code, "FLAKY: test_1.py::test_loses_a_race" in said) == (0, True), said


@pytest.mark.parametrize("others", [(), (LOSES_A_RACE,)], ids=["alone", "beside a flaky one"])
def test_a_broken_test_fails_the_run(tmp_path: Path, others: tuple[str, ...]) -> None:
    """A test that fails twice fails the run."""
    code, said = run(tmp_path, PASSES, FAILS, *others)
    assert (code, "FLAKY" in said) == (1, False), said


def test_many_failed_tests_are_not_repeated(tmp_path: Path) -> None:
    """More than ten failed tests are a broken program, not a busy machine."""
    code, said = run(tmp_path, *[LOSES_A_RACE] * 11)
    assert (code, "once more" in said) == (1, False), said


def test_a_run_that_breaks_off_is_not_repeated(tmp_path: Path) -> None:
    """A usage error keeps its exit code."""
    (tmp_path / "conftest.py").write_text("raise SystemExit(4)")
    code, said = run(tmp_path, PASSES)
    assert (code not in (0, 1), "once more" in said) == (True, False), said
