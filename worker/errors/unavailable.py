"""This worker can't now; another may."""

from __future__ import annotations

import errno

from worker.errors.tree import Fault, WorkerError


class WorkerBusy(WorkerError):
    """The queue is full; `retry_after_s` says when it is worth coming back."""

    code = "queue_full"
    status = 429
    retryable = True
    retryable_elsewhere = True


class RateLimited(WorkerError):
    """This client asks too often; the worker itself has room."""

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
    """The GPU does not answer any more, or not this ComfyUI."""

    code = "gpu_failed"


class RemovedByOperator(WorkerUnavailable):
    """Somebody else deleted or interrupted the job inside ComfyUI."""

    code = "removed_by_operator"


class OutputMissing(WorkerUnavailable):
    """ComfyUI named an output file that isn't there, and making it again didn't help."""

    code = "output_missing"


class DeliveryFailed(WorkerUnavailable):
    """The result is there and kept, but did not reach its place: only the delivery has to be done again, here."""

    code = "delivery_failed"
    retryable_elsewhere = False


class Draining(WorkerUnavailable):
    """This worker is shutting down. A job that somebody can come back for goes on when it starts again."""

    code = "draining"


class DiskFull(WorkerUnavailable):
    """The disk has no room for what a job needs or makes."""

    code = "disk_full"

    @classmethod
    def of(cls, error: BaseException) -> DiskFull | None:
        """What a failed write means; None where it was not for want of room."""
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return cls(f"no room left on the worker's disk: {error.strerror}")
        return None


class JournalUnavailable(WorkerUnavailable):
    """The job can't be written down, so it is not accepted: the disk is full, or failing."""

    code = "journal_unavailable"
