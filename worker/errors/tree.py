"""The root of the errors that clients see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Party that has to act.

    CLIENT means that the request has to change, WORKER that another worker may succeed, and JOB that the job itself
    fails.
    """

    CLIENT = "client"
    WORKER = "worker"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Detail:
    """One problem: its place, what was expected there, and what to do.

    `comfyui_type` is the type that ComfyUI gives to the same problem, if it has one.
    """

    message: str
    node_id: str | None = None
    node_title: str | None = None
    class_type: str | None = None
    input: str | None = None
    suggestion: str | None = None
    expected: str | None = None
    comfyui_type: str | None = None


@dataclass(frozen=True, slots=True)
class OutputProblem(Detail):
    """An output that could not be delivered. `output` is the name that its node gave to it."""

    code: str = ""
    output: str | None = None


class WorkerError(Exception):
    """Root of the errors that clients see. `message` says what happened and what to do, `details` where.

    `status` is the HTTP status. A failure that would repeat itself never has a 5xx status, because Vast's client sends
    a request with such a response again without end. `retry_after_s` is the value of the header `Retry-After`.
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
        """Return the object under the key `error` of a response. It is the same in every dialect."""
        return {
            "code": self.code,
            "message": self.message,
            "fault": self.fault.value,
            "retryable": self.retryable,
            "retryable_elsewhere": self.retryable_elsewhere,
            "details": [asdict(detail) for detail in self.details],
        }


class InternalError(WorkerError):
    """An unexpected exception in the worker, which is a bug. The client may retry once and should report it."""


def error_class(code: str) -> type[WorkerError]:
    """Return the class with this code, or WorkerError if this release has no such code."""
    classes: list[type[WorkerError]] = [WorkerError]
    for error_type in classes:  # the list grows while it is read, until it has all subclasses
        if error_type.code == code and error_type is not WorkerError:
            return error_type
        classes.extend(error_type.__subclasses__())
    return WorkerError
