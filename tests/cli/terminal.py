"""The real command in a process of its own, as a person would call it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.forks import ROOT, forks

WORKFLOWS = ROOT / "workflows"


FOREIGN = ("WORKER_", "VAST_", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "NO_COLOR")


def environment(**given: str) -> dict[str, str]:
    """Without any setting of the machine's own, nor what makes a pipe look like a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "COLUMNS": "100", **given}


def cli(*arguments: object, cwd: Path, timeout: float = 25, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `comfy-worker` to its end in a process that has its imports behind it; never with a traceback."""
    return _clean(forks().run([*map(str, arguments)], cwd, environment(**env), timeout))


def command(*arguments: object, cwd: Path, timeout: float = 25, **env: str) -> subprocess.CompletedProcess[str]:
    """The same from the start of Python on."""
    return _clean(
        subprocess.run(
            [sys.executable, "-m", "worker", *map(str, arguments)],
            cwd=cwd,
            env=environment(**env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    )


def _clean(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """What it wrote is text, and no traceback."""
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done
