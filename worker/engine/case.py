"""What is known of a job on its way through engines that may crash."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from worker.engine.run import Loss
from worker.job import JobRequest

UNSURE = 2
"""A job lost so often while it seemed to wait runs alone: it may have crashed ComfyUI before that said a word."""
Submitted = Callable[[str | None], None]
"""Told the id of a prompt just before it is posted, and None once it was taken out again."""


@dataclass(slots=True)
class Case:
    """`alone` where the job may be the one that crashes ComfyUI. `freed` once ComfyUI ran out of memory under it."""

    request: JobRequest
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False
    prompt_id: str = ""
    """Of the last submission."""
    known_as: str | None = None
    """Of a submission by an earlier life of this worker, which ComfyUI may still have."""

    def begin(self) -> str:
        """Return the id of the next submission.

        Never the job's id: ComfyUI takes UUIDs only, and its worker thread dies of an id used twice.
        """
        self.prompt_id = self.known_as or str(uuid.uuid4())
        return self.prompt_id

    def lost(self, loss: Loss) -> bool:
        """Whether the loss counts against the job; nobody else was inside where it ran alone."""
        counts = loss is Loss.RUNNING or (loss is Loss.WAITING and self.alone)
        self.waiting_losses += loss is Loss.WAITING
        self.alone |= counts or self.waiting_losses >= UNSURE
        return counts
