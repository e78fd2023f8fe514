"""The attempts to run one job on engines that may crash."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from worker.engine.protocol.api import DEFAULT_OPTIONS, SubmitOptions
from worker.engine.run import PromptLoss
from worker.errors import Detail
from worker.job import JobRef, JobRequest

UNSURE = 2
"""Losses of a waiting job after which it runs alone. ComfyUI may have crashed before its first frame."""


@dataclass(slots=True)
class Attempts:
    """The submissions of one job's prompt, and what is known about its crashes.

    `alone` is true when the job may be the one that crashes ComfyUI. `freed` is true after ComfyUI ran out of memory
    with it and the memory was freed.
    """

    request: JobRequest
    job: JobRef
    workload: float = 0.0
    options: SubmitOptions = DEFAULT_OPTIONS
    """Data that goes to ComfyUI with the prompt."""
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False
    prompt_id: str = ""
    """Id of the last submission."""
    submitted_at: float = 0.0
    """Time of the last submission on the monotonic clock. 0 where an earlier process of the worker submitted it."""
    earlier_prompt_id: str | None = None
    """Id of a submission by an earlier process of the worker, which ComfyUI may still have."""
    end: Detail | None = None
    """How ComfyUI ended under the job, with the node that ran if it is known."""

    def begin(self) -> str:
        """Return the id of the next submission.

        The job's id is never used. ComfyUI accepts UUIDs only, and its worker thread dies of an id that is used twice.
        """
        self.submitted_at = 0.0 if self.earlier_prompt_id else time.monotonic()
        self.prompt_id = self.earlier_prompt_id or str(uuid.uuid4())
        return self.prompt_id

    def record_loss(self, loss: PromptLoss) -> bool:
        """Record a loss and return whether it counts against the job.

        A job that ran alone is responsible for a crash even if it seemed to wait.
        """
        counts = loss is PromptLoss.RUNNING or (loss is PromptLoss.WAITING and self.alone)
        self.waiting_losses += loss is PromptLoss.WAITING
        self.alone |= counts or self.waiting_losses >= UNSURE
        return counts
