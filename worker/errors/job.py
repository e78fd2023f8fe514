"""Failures of a job. The same request would fail again."""

from __future__ import annotations

from worker.errors.tree import Fault, WorkerError


class JobError(WorkerError):
    fault = Fault.JOB
    status = 422
    code = "job_failed"


class NodeFailed(JobError):
    """A node raised while it ran."""

    code = "node_failed"


class ModelDamaged(JobError):
    """A node could not load a model file because the file is damaged. Another worker may have a good one."""

    code = "model_damaged"
    fault = Fault.WORKER
    retryable_elsewhere = True


class OutOfMemory(JobError):
    """The job needs more VRAM than this machine has."""

    code = "out_of_memory"
    retryable_elsewhere = True


class JobCrashesEngine(JobError):
    """ComfyUI crashed or hung twice while this job ran, so the job is refused: it would end others' jobs too."""

    code = "job_crashes_engine"


class JobTimeout(JobError):
    """The job ran longer than its own `timeout_s`."""

    code = "timeout"
    retryable_elsewhere = True


class OutputTooLargeForInline(JobError):
    """The result is too large for a JSON answer. It is kept, and can be fetched file by file."""

    code = "output_too_large_for_inline"


class OutputMissing(JobError):
    """A node named an output file that is not there, and the job has no other output."""

    code = "output_missing"


class OutputNotAllowed(OutputMissing):
    """A node named a file outside of ComfyUI's folders."""

    code = "output_not_allowed"


class OutputUnreadable(OutputMissing):
    """A node named a file that the worker can't read."""

    code = "output_unreadable"


class ConversionFailed(JobError):
    """A picture can't be converted to the requested format. It is kept as it is."""

    code = "conversion_failed"


class JobCancelled(JobError):
    """The client cancelled the job or disconnected. 499 is what Vast's stock template answers."""

    code = "cancelled"
    status = 499
    fault = Fault.CLIENT
