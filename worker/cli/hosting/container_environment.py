"""The container's environment at this start, gathered from the places where a foreign entry point leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SAVED, FIRST = Path("/etc/environment"), Path("/proc/1/environ")


def gathered(
    own: Mapping[str, str], first: Mapping[str, str], saved: Mapping[str, str], owned: tuple[str, ...]
) -> dict[str, str]:
    """`own` is this process's, `first` that of process 1, `saved` that of /etc/environment.

    `owned` are the beginnings of the names of variables that platforms set anew at each start.

    The file is written at the first boot and read again at each later one: the address and the ports in it may be
    another day's, and so may be those that a login shell took from it. Process 1 has what this start was given.
    """
    fresh = {name: value for name, value in first.items() if name.startswith(owned)}
    return {**saved, **first, **own, **fresh}


def read_saved(path: Path = SAVED) -> dict[str, str]:
    """`NAME=value` or `export NAME="value"`, a line each; {} where there is no such file."""
    try:
        return dict(_pairs(path.read_text("utf-8", "replace").splitlines()))
    except OSError:
        return {}


def read_first(path: Path = FIRST) -> dict[str, str]:
    """{} where this user may not see it."""
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
