"""The command line for a child process that runs a command of this worker."""

from __future__ import annotations

import sys


def worker_command(*arguments: str) -> list[str]:
    """Return the command line of `comfy-worker` with these arguments, for this process's Python.

    -P leaves the current folder out of the path. `python -m` alone would search it first, and run a file there such as
    `aiohttp.py` or `worker.py`.
    """
    return [sys.executable, "-P", "-m", "worker", *arguments]


def module_command(module: str) -> list[str]:
    """Return the command line that runs another module with this process's Python. The current folder is no path."""
    return [sys.executable, "-P", "-m", module]
