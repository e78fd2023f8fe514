"""The real command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.forks import ROOT, forks

WORKFLOWS = ROOT / "workflows"


FOREIGN = ("WORKER_", "VAST_", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "NO_COLOR")


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings and without variables that force colours, plus `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "COLUMNS": "100", **variables}


def cli(*arguments: object, cwd: Path, timeout: float = 25, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `comfy-worker` in a fork of a process that has imported it. Fails if it prints a traceback."""
    return _clean(forks().run([*map(str, arguments)], cwd, environment(**env), timeout))


def command(*arguments: object, cwd: Path, timeout: float = 25, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `comfy-worker` in a new Python process. Fails if it prints a traceback."""
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
    """Check that the output has no traceback."""
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done
