"""Tests that need other programs than Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.ci.workflows import ROOT

CLOCK = "tests/chaos/test_clock.py"


def run(*options: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a test that needs a tool, with only the programs in `path`."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", CLOCK, *options]
    env = {**os.environ, "PATH": str(path)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_a_test_is_skipped_by_the_name_of_its_tool(tmp_path: Path) -> None:
    """A test without its tool is skipped."""
    done = run(path=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "SKIPPED [1]" in done.stdout
    assert "not installed: faketime" in done.stdout


def test_where_tools_are_required_it_fails(tmp_path: Path) -> None:
    """With --require-tools, a test without its tool fails."""
    done = run("--require-tools", path=tmp_path)
    assert done.returncode == 1
    assert "not installed: faketime" in done.stdout


def test_every_tool_that_a_test_names_is_installed_by_the_gate() -> None:
    """Every named tool is installed by ci/tools.sh, by the image's toolbox, or in a venv."""
    marks = [
        mark
        for path in (ROOT / "tests").rglob("test_*.py")
        for mark in re.findall(r"mark\.tools\(([^)]*)\)", path.read_text("utf-8"))
    ]
    named = {name for mark in marks for name in re.findall(r'"([^"]+)"', mark) if "/" not in name}
    script = (ROOT / "ci" / "tools.sh").read_text("utf-8") + (ROOT / "image" / "toolbox.py").read_text("utf-8")
    assert "faketime" in named
    assert [name for name in named if f"[{name}]" not in script and f'"{name}"' not in script] == []


def test_the_gate_runs_them() -> None:
    """The checks install the tools and then run these tests."""
    gate = (ROOT / ".ci" / "run").read_text("utf-8")
    assert gate.index("ci/tools.sh") < gate.index("make test-tools")
