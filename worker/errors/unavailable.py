"""Requests that this worker cannot serve now. Another worker may."""

from __future__ import annotations

import errno

from worker.errors.tree import Fault, WorkerError


class WorkerBusy(WorkerError):
    """Too many jobs wait or run (WORKER_MAX_QUEUE), or too much work is queued (WORKER_MAX_WAIT).

    Retry after `Retry-After` seconds, or on another worker.
    """

    code = "queue_full"
    status = 429
    retryable = True
    retryable_elsewhere = True


class RateLimited(WorkerError):
    """This token sends more requests than WORKER_RATE_LIMIT allows. Retry after `Retry-After` seconds."""

    code = "rate_limited"
    status = 429
    fault = Fault.CLIENT
    retryable = True


class WorkerUnavailable(WorkerError):
    """The worker cannot serve the request now, for a reason that has no code of its own. Retry later or elsewhere."""

    code = "unavailable"
    status = 503
    retryable = True
    retryable_elsewhere = True


class EngineUnavailable(WorkerUnavailable):
    """ComfyUI cannot be reached or is starting. Retry later, or on another worker."""

    code = "engine_unavailable"


class GpuFailed(WorkerUnavailable):
    """The GPU does not respond, or not to this ComfyUI. Retry on another worker."""

    code = "gpu_failed"


class RemovedByOperator(WorkerUnavailable):
    """The job was deleted or interrupted inside ComfyUI, not through this worker. Send it again."""

    code = "removed_by_operator"


class ApiKeyLost(WorkerUnavailable):
    """The worker restarted and no longer has the comfy.org key of the job, which is never stored.

    Send the request again.
    """

    code = "api_key_lost"


class DeliveryFailed(WorkerUnavailable):
    """The result could not be delivered to its target. It is kept on this worker.

    Send `POST /jobs/{id}/deliver` to this worker to repeat only the delivery.
    """

    code = "delivery_failed"
    retryable_elsewhere = False


class Draining(WorkerUnavailable):
    """This worker is shutting down.

    Retry on another worker. A job whose result can be fetched later continues after a restart.
    """

    code = "draining"


class DiskFull(WorkerUnavailable):
    """The disk has no space for the inputs or outputs of a job. Retry later, or on another worker."""

    code = "disk_full"


class ResourcesExhausted(WorkerUnavailable):
    """The process has no memory, file descriptor or thread left for the request.

    Retry when other requests have ended.
    """

    code = "exhausted"


def shortage_error(error: BaseException) -> DiskFull | ResourcesExhausted | None:
    """Return the error for a lack of disk space, memory, file descriptors or threads. Return None for other causes."""
    match error:
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return DiskFull(f"no space left on the worker's disk: {error.strerror}")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return ResourcesExhausted("the worker cannot open another file now")
        case OSError(errno=errno.ENOMEM) | MemoryError():
            return ResourcesExhausted("the worker has no memory left for this request")
        case RuntimeError(args=("can't start new thread",)):  # CPython has no class for it
            return ResourcesExhausted("the worker cannot start another thread now")
    return None


class JournalUnavailable(WorkerUnavailable):
    """The job cannot be stored in the journal, because the disk is full or failing. Retry on another worker."""

    code = "journal_unavailable"
