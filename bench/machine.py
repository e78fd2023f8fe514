"""The machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path


def facts() -> Iterator[tuple[str, str]]:
    """Yield pairs of a name and a value."""
    yield "processor", f"{_proc_value('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores"
    yield "memory", f"{int(_proc_value('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB"
    yield "system", f"{platform.system()} {platform.release()}"
    yield "Python", f"{platform.python_version()}, aiohttp {version('aiohttp')}, uvloop {version('uvloop')}"


def load() -> str:
    """Return the load averages over 1, 5 and 15 minutes."""
    return " ".join(f"{average:.2f}" for average in os.getloadavg())


def _proc_value(path: str, name: str) -> str:
    """Return the value of the first line that starts with `name` in a file of /proc.

    Return `0 unknown` if there is none, which callers can read as a number or as a text.
    """
    for line in Path(path).read_text("utf-8").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "0 unknown"
