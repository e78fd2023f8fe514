"""Commands that the workflows and the Makefile call exist, with their options."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.ci.workflows import ROOT, scripts
from tests.cli.terminal import cli
from worker.cli.command_table import COMMANDS

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
SCRIPTS = [text for _, text in scripts()]
LINES = [line for text in (*SCRIPTS, MAKEFILE.replace("\\\n", " ")) for line in text.splitlines()]


def called() -> dict[str, set[str]]:
    """Return the options of all calls by command."""
    found: dict[str, set[str]] = {}
    for line in LINES:
        for arguments in re.findall(r"/comfy-worker ([^|>;]+)", line):
            first, *others = arguments.split()
            command = f"{first} {others[0]}" if first in ("deploy", "nodes") else first
            found.setdefault(command, set()).update(re.findall(r"--[a-z-]+", arguments))
    return found


CALLED = called()


def test_the_calls_are_found() -> None:
    """The calls are found, so that the other tests have something to check."""
    assert {"nodes check", "deploy plan", "deploy apply", "deploy rollback", "run"} <= set(CALLED)
    assert {"--file", "--image", "--markdown", "--out", "--snapshot"} <= CALLED["deploy plan"]


@pytest.mark.parametrize("command", CALLED)
def test_every_command_is_there_with_its_options(command: str, tmp_path: Path) -> None:
    """Every command that is called has these options in its help."""
    if command.startswith("deploy ") and not (ROOT / "worker" / "cli" / "commands" / "deploy" / "group.py").exists():
        pytest.skip("comfy-worker deploy isn't there yet")
    assert command in COMMANDS
    known = set(re.findall(r"--[a-z-]+", cli(*command.split(), "--help", cwd=tmp_path, COLUMNS="200").stdout))
    assert CALLED[command] <= known


def test_every_target_is_there() -> None:
    """Every `make` target that is called exists."""
    gate = (ROOT / ".ci" / "run").read_text("utf-8")
    wanted = {
        word
        for text in (*SCRIPTS, gate)
        for targets in re.findall(r"^\s*(?:for .* do )?make ([^;&|\n]+)", text, re.MULTILINE)
        for word in targets.split()
        if "=" not in word
    }
    there = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE)) | {".venv/.ready"}
    assert {"lint", "types", "test", "image-test", "soak", "mutants"} <= wanted <= there


def test_every_script_is_there() -> None:
    """Every Python module and executable script that is called exists."""
    modules = {name for text in SCRIPTS for name in re.findall(r"python3? -m ([\w.]+)", text)}
    files = {name for text in (*SCRIPTS, MAKEFILE) for name in re.findall(r"\bci/\w+\.sh", text)}
    assert {"ci.note", "ci.newest", "ci.times", "ci.waiting", "image.toolbox"} == modules
    assert all(find_spec(name) for name in modules)
    assert files == {f"ci/{path.name}" for path in (ROOT / "ci").glob("*.sh")}
    assert all((ROOT / name).stat().st_mode & 0o111 for name in files)
