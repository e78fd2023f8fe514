"""The reason why an engine's process ended, from its exit code and the kernel's memory counters."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
VMSTAT = Path("/proc/vmstat")
MEMINFO = Path("/proc/meminfo")
KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
GIB = 1024**3
UNLIMITED = 2**60
"""A limit of cgroups version 1 above this is no limit."""
NATIVE = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals of a crash in native code."""


@dataclass(frozen=True, slots=True)
class EngineEnd:
    """The end of an engine's process.

    `cause` follows the engine's name in a message, such as "ended with code 1". `at` is on the monotonic clock.
    """

    cause: str
    at: float


def exit_cause(code: int, kills_before: int | None) -> str:
    """Return why a process ended, such as "ended with code 1". `code` is its exit code, negative for a signal.

    `kills_before` is the value of `oom_kills` when the process started.
    """
    if code >= 0:
        return f"ended with code {code}"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"was killed by signal {-code}"
    if number is signal.SIGKILL:
        kills = oom_kills()
        if kills is not None and kills_before is not None and kills > kills_before:
            return f"was killed by SIGKILL: the machine ran out of memory{_memory_note()}"
        return f"was killed by SIGKILL, most likely because the machine ran out of memory{_memory_note()}"
    return f"{'crashed with' if number in NATIVE else 'was ended by'} {number.name}"


def oom_kills() -> int | None:
    """Return the number of processes that the kernel has killed for lack of memory, or None if it is unknown.

    The number is that of the worker's cgroup, or of the machine.
    """
    for path in (*_cgroup_files("memory.events", "memory.oom_control"), VMSTAT):
        if match := KILLS.search(_text(path)):
            return int(match[1])
    return None


def _memory_note() -> str:
    """Return the memory limit and use in parentheses, an empty string if neither is known."""
    limit = _first_number("memory.max", "memory.limit_in_bytes")
    peak = _first_number("memory.peak", "memory.max_usage_in_bytes")
    if limit is not None and limit < UNLIMITED:
        usage = f", at most {peak / GIB:.1f} GiB were in use" if peak is not None else ""
        return f" (this container may use {limit / GIB:.1f} GiB{usage})"
    facts = dict(re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB$", _text(MEMINFO), re.MULTILINE))
    if len(facts) < 2:
        return ""
    total, free = (int(facts[name]) * 1024 / GIB for name in ("MemTotal", "MemAvailable"))
    return f" (it has {total:.1f} GiB, of which {free:.1f} GiB are free now)"


def _first_number(*names: str) -> int | None:
    """Return the number in the first of these cgroup files that has one, or None."""
    texts = (_text(path).strip() for path in _cgroup_files(*names))
    return next((int(text) for text in texts if text.isdecimal()), None)


def _cgroup_files(*names: str) -> Iterator[Path]:
    """Yield possible paths of files of the worker's cgroup.

    They differ between the versions of cgroups, and between a container's view and the machine's.
    """
    for line in _text(OWN_CGROUP).splitlines():  # each line is ID:CONTROLLERS:PATH
        _, _, entry = line.partition(":")
        controllers, _, path = entry.partition(":")
        if controllers in {"", "memory"}:
            for root in (CGROUP / controllers / path.lstrip("/"), CGROUP / controllers):
                yield from (root / name for name in names)


def _text(path: Path) -> str:
    """Return the text of a file, an empty string when it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
