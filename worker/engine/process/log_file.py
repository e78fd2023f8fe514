"""The log file of one engine."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

START = b"--- the worker starts this engine ---\n"
"""Line that the worker writes into an engine's log before each start."""
LOG_LIMIT = 16 * 1024 * 1024
"""Size in bytes from which the log is moved aside."""
TAIL = 2000
"""Number of bytes at the end of the log in which its last line is searched."""


def last_line(logs: Path) -> str:
    """Return the last line of the log since the last start, or "nothing" if there is none."""
    try:
        with logs.open("rb") as file:
            file.seek(max(0, logs.stat().st_size - TAIL))
            lines = file.read().rpartition(START)[2].decode(errors="replace").split("\n")
    except OSError:
        return "nothing"
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def rotate_log(logs: Path) -> None:
    """Copy a large log to another name and empty it. The engine keeps its open file, to which it only appends."""
    with suppress(OSError):
        if logs.stat().st_size > LOG_LIMIT:
            shutil.copyfile(logs, logs.with_suffix(".log.1"))
            os.truncate(logs, 0)
