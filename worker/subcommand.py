"""The command line of a child process that runs a command of this worker."""

from __future__ import annotations

import sys


def worker_command(*arguments: str) -> list[str]:
    """Return the command line of `comfy-worker` with these arguments, for the Python of this process.

    `python -m` alone searches the current folder first: a file there with the name of a package, `aiohttp.py` or
    `worker.py`, would run in its place. -P leaves the current folder out.
    """
    return [sys.executable, "-P", "-m", "worker", *arguments]
