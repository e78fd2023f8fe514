"""`comfy-worker fleet replay`: its output, and options that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.fleet.wishes import FLEET

TRACE = "at_s,units,seconds,kind\n0,10,10,sdxl\n1,8,8,sdxl\n2,12,12,flux-dev\n600,5,5,sdxl\n"
OPTIONS = ("--trace", "trace.csv", "--fleet", "vast.toml")


def files(folder: Path) -> Path:
    """Write a trace and a fleet file, and return the folder."""
    (folder / "trace.csv").write_text(TRACE, "utf-8")
    (folder / "vast.toml").write_text(FLEET, "utf-8")
    return folder


@pytest.mark.timeout(150)
def test_both_columns_have_all_jobs(tmp_path: Path) -> None:
    """`--json` has the figures of the replay and of the simulation, of the jobs that arrive in the first minutes."""
    done = cli("fleet", "replay", *OPTIONS, "--minutes", 5, "--speed", 20, "--json", cwd=files(tmp_path), timeout=120)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["replay"]["served"], body["simulation"]["served"], body["failures"]) == (3, 3, [])
    assert (body["speed"], body["replay"]["jobs"]) == (20, 3)
    assert body["overhead"]["running_s"] > 0


def test_an_unknown_reading_is_named(tmp_path: Path) -> None:
    """A reading that does not exist is an error, with those that do."""
    done = cli("fleet", "replay", *OPTIONS, "--reading", "Z", cwd=files(tmp_path))
    assert done.returncode == 2
    assert "'Z'" in done.stderr
    assert "A, B, B', C" in done.stderr


def test_minutes_without_a_job_are_an_error(tmp_path: Path) -> None:
    """There is nothing to play before the first job."""
    (files(tmp_path) / "trace.csv").write_text("at_s,units\n600,5\n", "utf-8")
    done = cli("fleet", "replay", *OPTIONS, "--minutes", 5, cwd=tmp_path)
    assert done.returncode == 2
    assert "no job arrives in the first 5 minutes" in done.stderr
