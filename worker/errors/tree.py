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
    """One thing that is wrong, at the place where it is wrong, with what was expected there, and its cure.

    `comfyui_type` is ComfyUI's own name for it, where it has one.
    """

    message: str
    node_id: str | None = None
    node_title: str | None = None
    class_type: str | None = None
    input: str | None = None
    suggestion: str | None = None
    expected: str | None = None
    comfyui_type: str | None = None


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


class StartupError(Exception):
    """The process can't start: the message says what to change."""


class RestartAsked(Exception):
    """The process has drained and is to be started again, because its platform wants it to."""


def error_class(code: str) -> type[WorkerError]:
    """The class that has this code; the root for a code of another version."""
    kinds: list[type[WorkerError]] = [WorkerError]
    for kind in kinds:
        if kind.code == code and kind is not WorkerError:
            return kind
        kinds.extend(kind.__subclasses__())
    return WorkerError
