"""The environment of a container whose entry point is not the worker's.

Such an entry point leaves the variables in /etc/environment and in process 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SAVED, FIRST = Path("/etc/environment"), Path("/proc/1/environ")


def merged_environment(
    own: Mapping[str, str], process_one: Mapping[str, str], saved: Mapping[str, str], platform_prefixes: tuple[str, ...]
) -> dict[str, str]:
    """Return the variables of this process (`own`), of process 1, and of /etc/environment (`saved`).

    `own` takes precedence over `process_one`, and `process_one` over `saved`. Process 1 takes precedence over all for
    names that begin with one of `platform_prefixes`, because platforms set these again at each start. /etc/environment
    is written at the first boot only, so that its address and ports may be outdated, as may those of a login shell.
    """
    platform_variables = {name: value for name, value in process_one.items() if name.startswith(platform_prefixes)}
    return {**saved, **process_one, **own, **platform_variables}


def read_saved(path: Path = SAVED) -> dict[str, str]:
    """Return the variables of a file with lines `NAME=value` or `export NAME="value"`, or {} if there is no file."""
    try:
        return dict(_pairs(path.read_text("utf-8", "replace").splitlines()))
    except OSError:
        return {}


def read_process_one(path: Path = FIRST) -> dict[str, str]:
    """Return the variables of process 1, or {} if this user may not read them."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(part.split("=", 1) for part in text.split("\0") if "=" in part)


def _pairs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the name and the value, without its quotes, of each line that sets a variable. Skip other lines."""
    for line in lines:
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and name.isidentifier():
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield name, value[1:-1] if quoted else value
