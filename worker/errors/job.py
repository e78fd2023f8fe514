"""Failures of a job. The same request would fail again on this worker."""

from __future__ import annotations

from worker.errors.tree import Fault, WorkerError


class JobError(WorkerError):
    """The job failed for a reason that has no code of its own. Read the message."""

    fault = Fault.JOB
    status = 422
    code = "job_failed"


class NodeFailed(JobError):
    """A node raised an exception. The details name the node and the exception. Change the workflow or its inputs."""

    code = "node_failed"


class ModelDamaged(JobError):
    """A model file on this worker is damaged. Retry on another worker, and ask the operator to replace the file."""

    code = "model_damaged"
    fault = Fault.WORKER
    retryable_elsewhere = True


class OutOfMemory(JobError):
    """The job needs more GPU memory than this worker has. Reduce the size or the batch, or use a larger GPU."""

    code = "out_of_memory"
    retryable_elsewhere = True


class JobCrashesEngine(JobError):
    """ComfyUI crashed or hung twice while this job ran. The job is rejected for WORKER_CRASH_MEMORY seconds.

    Another run would end the jobs of other clients too. Change the workflow.
    """

    code = "job_crashes_engine"


class JobTimeout(JobError):
    """The job did not end within its `timeout_s`. Request more time, or use a faster worker."""

    code = "timeout"
    retryable_elsewhere = True


class OutputTooLargeForInline(JobError):
    """The files are too large to be sent inside the response. The result is kept.

    Fetch the files one by one with the `token` and `url` of the response, or request `output_format: url`.
    """

    code = "output_too_large_for_inline"


class OutputMissing(JobError):
    """A node reported an output file that does not exist, and the job has no other output. Check the node."""

    code = "output_missing"


class OutputNotAllowed(OutputMissing):
    """A node reported an output file outside ComfyUI's folders. Save it inside the output folder."""

    code = "output_not_allowed"


class OutputUnreadable(OutputMissing):
    """A node reported an output file that the worker cannot read. The message names the reason."""

    code = "output_unreadable"


class ConversionFailed(JobError):
    """An image could not be converted to the requested format. The original is kept. Request another format."""

    code = "conversion_failed"


class JobCancelled(JobError):
    """The job was cancelled, or its client disconnected. The status 499 is that of Vast's stock template."""

    code = "cancelled"
    status = 499
    fault = Fault.CLIENT
