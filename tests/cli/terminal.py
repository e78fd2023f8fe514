"""The real command in a process of its own, as a person would start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "workflows"


FOREIGN = ("WORKER_", "VAST_", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "NO_COLOR")


def environment(**given: str) -> dict[str, str]:
    """Without any setting of the machine's own, nor what makes a pipe look like a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "COLUMNS": "100", **given}


def cli(*arguments: object, cwd: Path, timeout: float = 25, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `comfy-worker` to its end; what it writes is text, and never a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done
