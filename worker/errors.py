"""The one tree of errors: each class carries its code, its HTTP status and who can do something about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Who has to act: the client (change the request), the worker (try another), or the job itself."""

    CLIENT = "client"
    WORKER = "worker"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong, at the place where it is wrong, with its cure."""

    message: str
    node_id: str | None = None
    node_title: str | None = None
    class_type: str | None = None
    input: str | None = None
    suggestion: str | None = None


class WorkerError(Exception):
    """Root of the tree.

    `status` is HTTP's, and never 5xx for a deterministic failure: Vast's client would send it again without end.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    fault: ClassVar[Fault] = Fault.WORKER
    retryable: ClassVar[bool] = False
    retryable_elsewhere: ClassVar[bool] = False

    def __init__(self, message: str, details: Sequence[Detail] = (), retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.retry_after_s = retry_after_s

    def as_dict(self) -> dict[str, object]:
        """The body under the key `error` (design, section 5), the same in every dialect."""
        return {
            "code": self.code,
            "message": self.message,
            "fault": self.fault.value,
            "retryable": self.retryable,
            "retryable_elsewhere": self.retryable_elsewhere,
            "details": [asdict(detail) for detail in self.details],
        }


class InternalError(WorkerError):
    """A bug of ours: an exception that nobody expected."""


# The client's to mend.


class ClientError(WorkerError):
    fault = Fault.CLIENT
    status = 400
    code = "bad_request"


class InvalidJson(ClientError):
    code = "invalid_json"


class UnknownField(ClientError):
    code = "unknown_field"


class InvalidField(ClientError):
    code = "invalid_field"


class InvalidInputFile(ClientError):
    code = "invalid_input_file"


class Unauthorized(ClientError):
    """No token of the operator's came with the request."""

    code = "unauthorized"
    status = 401


class NotFound(ClientError):
    """No such thing, or not the caller's: the two must look the same."""

    code = "not_found"
    status = 404


class MethodNotAllowed(ClientError):
    code = "method_not_allowed"
    status = 405


class IdTaken(ClientError):
    code = "id_taken"
    status = 409


class BodyTooLarge(ClientError):
    code = "body_too_large"
    status = 413


class InvalidWorkflow(ClientError):
    """The workflow can't run anywhere as it is written."""

    code = "invalid_workflow"
    status = 422


class NotSupported(ClientError):
    """Understood, but this worker doesn't do it; silence would be worse."""

    code = "not_supported"
    status = 422


class UrlNeedsStorage(ClientError):
    """`output_format: url` where nobody outside could open the address."""

    code = "url_needs_storage"
    status = 422


class TargetNotAllowed(ClientError):
    """The request names a place for its outputs, or an address to call, that the operator has not opened."""

    code = "target_not_allowed"
    status = 422


class NothingToDeliver(ClientError):
    """The job is not one whose result waits to be delivered again."""

    code = "nothing_to_deliver"
    status = 409


class DeliveryRefused(ClientError):
    """The place that the request named doesn't take the files: wrong keys, no such bucket. The result is kept."""

    code = "delivery_refused"
    status = 422


# What happened to the job.


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


# This worker can't now; another may.


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


class JournalUnavailable(WorkerUnavailable):
    """The job can't be written down, so it is not accepted: the disk is full, or failing."""

    code = "journal_unavailable"


def error_class(code: str) -> type[WorkerError]:
    """The class that has this code; the root for a code of another version."""
    kinds: list[type[WorkerError]] = [WorkerError]
    for kind in kinds:
        if kind.code == code and kind is not WorkerError:
            return kind
        kinds.extend(kind.__subclasses__())
    return WorkerError


class StartupError(Exception):
    """The process can't start: the message says what to change."""
