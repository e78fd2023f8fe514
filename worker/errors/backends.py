"""Errors of backends: the places that a caller's job can go to."""

from __future__ import annotations

from typing import ClassVar

from worker.errors.tree import WorkerError
from worker.errors.unavailable import WorkerUnavailable


class BackendError(Exception):
    """Root of the errors of backends. `code` is for programs, the message for people. It contains no key."""

    code: ClassVar[str] = "backend_error"


class BackendUnreachable(BackendError):
    """The backend did not get the request, or did not answer a question about a job. Nothing was accepted."""

    code = "backend_unreachable"


class BackendRefused(BackendError):
    """The backend answered a submission with an error, or the job has failed there.

    `status` and `body` are the HTTP status and the JSON of the answer, in the dialect of the request where the backend
    knows it. `elsewhere` means that another backend may accept the same request. `retry_after_s` is the time after
    which this one may. `of_job` means that the error is the result of the job, which the backend had accepted.
    """

    code = "backend_refused"

    def __init__(
        self,
        message: str,
        status: int,
        body: bytes,
        *,
        elsewhere: bool,
        retry_after_s: float | None = None,
        of_job: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.elsewhere = elsewhere
        self.retry_after_s = retry_after_s
        self.of_job = of_job


class SubmissionUncertain(BackendError):
    """The request was sent, and its answer was lost. The backend may have accepted the job."""

    code = "submission_uncertain"


class JobLost(BackendError):
    """The backend no longer knows the job, or the worker that had it is gone. It will not end there."""

    code = "job_lost"


class OperationUnsupported(BackendError):
    """The backend does not have this operation. `Backend.capabilities` says so beforehand."""

    code = "operation_unsupported"


class NoBackend(WorkerUnavailable):
    """The proxy has no backend that takes the job now. The message has the reason of each. Retry later."""

    code = "no_backend"


class JobGone(WorkerUnavailable):
    """The backend that had accepted the job has lost it, and the proxy does not send it again on its own.

    The job may have run. Send it again if a second run does no harm.
    """

    code = "job_gone"


class CannotCancel(WorkerError):
    """The backend of the job cannot cancel it, or did not respond. The job goes on."""

    code = "cannot_cancel"
    status = 409
    retryable = True


class ModalRefused(Exception):
    """Modal rejects the token, or has no such class. `status` is the HTTP status that fits. Check the backend's URL."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ModalUnreachable(Exception):
    """Modal's API returned no usable response in time."""
