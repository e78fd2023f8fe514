"""The engines that a worker manages itself, found among its child processes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ManagedEngine:
    """The process id of one engine, and the port on which it listens."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """The URL of the engine."""
        return f"http://127.0.0.1:{self.port}"


def managed_engines(worker: int) -> list[ManagedEngine]:
    """Return the running engines of the worker with this process id, ordered by port."""
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text("utf-8").split()
    engines = []
    for child in map(int, children):
        with suppress(OSError, KeyError):
            engines.append(ManagedEngine(child, int(_options(child)["--port"])))
    return sorted(engines, key=lambda engine: engine.port)


def _options(pid: int) -> dict[str, str]:
    """Return the words of a process's command line, each mapped to the word after it."""
    return dict(pairwise(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")))
