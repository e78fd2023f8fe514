"""What happened to a job: the same request must not be sent again blindly."""

from __future__ import annotations

from worker.errors.tree import Fault, WorkerError


class JobError(WorkerError):
    fault = Fault.JOB
    status = 422
    code = "job_failed"


class NodeFailed(JobError):
    """A node raised while it ran."""

    code = "node_failed"


class OutOfMemory(JobError):
    """The job needs more VRAM than this machine has; a bigger one would do."""

    code = "out_of_memory"
    retryable_elsewhere = True


class JobCrashesEngine(JobError):
    """ComfyUI crashed or hung twice while this job ran: it is the job, and it would take down others too."""

    code = "job_crashes_engine"


class JobTimeout(JobError):
    """The job ran longer than its own `timeout_s`."""

    code = "timeout"
    retryable_elsewhere = True


class OutputTooLargeForInline(JobError):
    """The result is kept and served; only its way into a JSON answer is closed."""

    code = "output_too_large_for_inline"


class ConversionFailed(JobError):
    """A picture can't be had in the format that was asked for. It is kept as it is."""

    code = "conversion_failed"


class JobCancelled(JobError):
    """Its owner cancelled it, or left (499 is what Vast's stock template answers)."""

    code = "cancelled"
    status = 499
    fault = Fault.CLIENT
