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


class ResourcesExhausted(WorkerUnavailable):
    """The worker's process has no memory, file descriptor or thread left for a request until others end."""

    code = "exhausted"


def shortage_error(error: BaseException) -> DiskFull | ResourcesExhausted | None:
    """Return the error for what the machine had too little of; None where that was not the cause."""
    match error:
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return DiskFull(f"no room left on the worker's disk: {error.strerror}")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return ResourcesExhausted("the worker can't open another file now")
        case OSError(errno=errno.ENOMEM) | MemoryError():
            return ResourcesExhausted("the worker has no memory left for this request")
        case RuntimeError(args=("can't start new thread",)):  # CPython has no class for it
            return ResourcesExhausted("the worker can't start another thread now")
    return None


class JournalUnavailable(WorkerUnavailable):
    """The job is not accepted because the journal can't be written: the disk is full or failing."""

    code = "journal_unavailable"
