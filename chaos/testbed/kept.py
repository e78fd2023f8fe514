"""The engines that a worker keeps itself, found among its child processes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeptEngine:
    """One engine's process, and the port on which it answers."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def kept_engines(worker: int) -> list[KeptEngine]:
    """Return the engines of the worker with this process id, by their ports; those that have ended are left out."""
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text("utf-8").split()
    found = []
    for child in map(int, children):
        with suppress(OSError, KeyError):
            found.append(KeptEngine(child, int(_options(child)["--port"])))
    return sorted(found, key=lambda engine: engine.port)


def _options(pid: int) -> dict[str, str]:
    """The words of a process's command, each with the one after it."""
    return dict(pairwise(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")))
