"""A job while engines may crash under it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from worker.engine.protocol.api import DEFAULT_OPTIONS, SubmitOptions
from worker.engine.run import PromptLoss
from worker.errors import Detail
from worker.job import JobRef, JobRequest

UNSURE = 2
"""Losses of a job that seemed to wait, after which it runs alone: ComfyUI may have crashed before its first frame."""


@dataclass(slots=True)
class Attempts:
    """What the worker knows of a job while engines may crash under it.

    `alone` where the job may be the one that crashes ComfyUI. `freed` once ComfyUI ran out of memory under it.
    """

    request: JobRequest
    job: JobRef
    workload: float = 0.0
    options: SubmitOptions = DEFAULT_OPTIONS
    """What goes to ComfyUI beside the prompt."""
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False
    prompt_id: str = ""
    """Of the last submission."""
    submitted_at: float = 0.0
    """Of the last submission, on the monotonic clock; 0 where it was in an earlier life of this worker."""
    known_as: str | None = None
    """Of a submission by an earlier life of this worker, which ComfyUI may still have."""
    end: Detail | None = None
    """How ComfyUI ended under it, with the node that ran where one was seen."""

    def begin(self) -> str:
        """Return the id of the next submission.

        Never the job's id: ComfyUI takes UUIDs only, and its worker thread dies of an id used twice.
        """
        self.submitted_at = 0.0 if self.known_as else time.monotonic()
        self.prompt_id = self.known_as or str(uuid.uuid4())
        return self.prompt_id

    def lost(self, loss: PromptLoss) -> bool:
        """Whether the loss counts against the job; nobody else was inside where it ran alone."""
        counts = loss is PromptLoss.RUNNING or (loss is PromptLoss.WAITING and self.alone)
        self.waiting_losses += loss is PromptLoss.WAITING
        self.alone |= counts or self.waiting_losses >= UNSURE
        return counts
