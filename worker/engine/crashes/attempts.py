"""The attempts to run one job on engines that may crash."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from worker.engine.protocol.api import DEFAULT_OPTIONS, SubmitOptions
from worker.engine.run import PromptLoss
from worker.errors import Detail
from worker.job import JobRef, JobRequest

MOST_WAITING_LOSSES = 2
"""Number of losses of a waiting job after which it runs alone.

It may have been running, because ComfyUI may crash before it sends the first frame of a job."""


@dataclass(slots=True)
class Attempts:
    """The submissions of one job's prompt, and what is known about its crashes.

    `alone` is True if no other job may run beside this one, because it may be the job that crashes ComfyUI. `freed` is
    True after ComfyUI ran out of memory with this job and the worker had the memory freed.
    """

    request: JobRequest
    job: JobRef
    options: SubmitOptions = DEFAULT_OPTIONS
    """Data that goes to ComfyUI with the prompt."""
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False
    prompt_id: str = ""
    """Id of the last submission."""
    submitted_at: float = 0.0
    """Time of the last submission on the monotonic clock, or 0 if an earlier process of the worker submitted it."""
    earlier_prompt_id: str | None = None
    """Id of a submission by an earlier process of the worker, which ComfyUI may still have."""
    end: Detail | None = None
    """How ComfyUI ended while the job ran, with the node that ran if it is known."""

    def begin(self) -> str:
        """Begin the next submission, and return its prompt id.

        This is the id of the earlier process's submission, if ComfyUI may still have that, or else a new one. The job's
        own id is never used: ComfyUI accepts only UUIDs, and its worker thread ends when an id is used twice.
        """
        self.submitted_at = 0.0 if self.earlier_prompt_id else time.monotonic()
        self.prompt_id = self.earlier_prompt_id or str(uuid.uuid4())
        return self.prompt_id

    def record_loss(self, loss: PromptLoss) -> bool:
        """Record a loss of the prompt, and return whether it counts against the job.

        A job that ran alone is responsible for a crash, even if the worker saw it waiting. The next attempt is alone if
        the loss counts, or if the job was lost too often while it was waiting.
        """
        counts = loss is PromptLoss.RUNNING or (loss is PromptLoss.WAITING and self.alone)
        self.waiting_losses += loss is PromptLoss.WAITING
        self.alone |= counts or self.waiting_losses >= MOST_WAITING_LOSSES
        return counts
