"""Requests that this worker can't serve now. Another worker may."""

from __future__ import annotations

import errno

from worker.errors.tree import Fault, WorkerError


class WorkerBusy(WorkerError):
    """The queue is full. `retry_after_s` is the time until a retry is worthwhile."""

    code = "queue_full"
    status = 429
    retryable = True
    retryable_elsewhere = True


class RateLimited(WorkerError):
    """This client sends too many requests. The worker itself has room."""

    code = "rate_limited"
    status = 429
    fault = Fault.CLIENT
    retryable = True


class WorkerUnavailable(WorkerError):
    code = "unavailable"
    status = 503
    retryable = True
    retryable_elsewhere = True


class EngineUnavailable(WorkerUnavailable):
    """ComfyUI can't be reached."""

    code = "engine_unavailable"


class GpuFailed(WorkerUnavailable):
    """The GPU stopped answering, or does not answer this ComfyUI."""

    code = "gpu_failed"


class RemovedByOperator(WorkerUnavailable):
    """The job was deleted or interrupted inside ComfyUI, not through this worker."""

    code = "removed_by_operator"


class ApiKeyLost(WorkerUnavailable):
    """The worker was restarted and no longer has the comfy.org key that the client sent with the job."""

    code = "api_key_lost"


class DeliveryFailed(WorkerUnavailable):
    """The result is kept, but did not reach its place. Only the delivery has to be repeated, on this worker."""

    code = "delivery_failed"
    retryable_elsewhere = False


class Draining(WorkerUnavailable):
    """This worker is shutting down. A job that can be collected later continues after the next start."""

    code = "draining"


class DiskFull(WorkerUnavailable):
    """The disk has no room for a job's inputs or outputs."""

    code = "disk_full"

    @classmethod
    def of(cls, error: BaseException) -> DiskFull | None:
        """Return the error for a failed write; None where the cause was not a full disk."""
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return cls(f"no room left on the worker's disk: {error.strerror}")
        return None


class JournalUnavailable(WorkerUnavailable):
    """The job is not accepted because the journal can't be written: the disk is full or failing."""

    code = "journal_unavailable"
