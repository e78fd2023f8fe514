"""One worker of a replay: its process, and the stages of its life as an account lists them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum, auto


class WorkerStage(StrEnum):
    """The stages of a worker's life."""

    STARTING = auto()
    """The process starts, or the boot time of the trace is not over."""
    READY = auto()
    """The router gives it requests."""
    DRAINING = auto()
    """It finishes its jobs, and then its process ends."""
    INACTIVE = auto()
    """It has no process, but its state is kept, so that it starts again faster."""
    ENDED = auto()
    """It was destroyed, or its process died."""


@dataclass(slots=True)
class PlayedWorker:
    """A worker. Times are those of the trace. `stop` ends its process once its jobs are done."""

    number: int
    stage: WorkerStage
    ready_at_s: float = 0.0
    keeps_state: bool = False
    """Whether the worker is inactive after its stop, instead of destroyed."""
    pid: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
