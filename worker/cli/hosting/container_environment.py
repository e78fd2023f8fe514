"""The environment of a container whose entry point is not the worker's.

Such an entry point leaves the variables in /etc/environment and in process 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SAVED, FIRST = Path("/etc/environment"), Path("/proc/1/environ")


def merged_environment(
    own: Mapping[str, str], first: Mapping[str, str], saved: Mapping[str, str], owned: tuple[str, ...]
) -> dict[str, str]:
    """Return the variables of this process (`own`), of process 1 (`first`) and of /etc/environment (`saved`).

    `own` takes precedence over `first`, and `first` over `saved`. Process 1 takes precedence for variables whose names
    begin with one of `owned`, because platforms set these again at each start. /etc/environment is written at the first
    boot only, so that its address and ports may be outdated, as may those of a login shell.
    """
    current = {name: value for name, value in first.items() if name.startswith(owned)}
    return {**saved, **first, **own, **current}


def read_saved(path: Path = SAVED) -> dict[str, str]:
    """Return the variables of a file with lines `NAME=value` or `export NAME="value"`; {} without the file."""
    try:
        return dict(_pairs(path.read_text("utf-8", "replace").splitlines()))
    except OSError:
        return {}


def read_process_one(path: Path = FIRST) -> dict[str, str]:
    """Return the variables of process 1; {} if this user may not read them."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(part.split("=", 1) for part in text.split("\0") if "=" in part)


def _pairs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and name.isidentifier():
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield name, value[1:-1] if quoted else value
