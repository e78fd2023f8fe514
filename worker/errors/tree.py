"""The root of the errors that clients see."""

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
    """One thing that is wrong: its place, what was expected there, and what to do.

    `comfyui_type` is ComfyUI's own name for the problem, where it has one.
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
    """One thing that could not be delivered, and why. `output` is the name that its node gave it."""

    code: str = ""
    output: str | None = None


class WorkerError(Exception):
    """Root of the tree.

    `status` is HTTP's. A deterministic failure is never 5xx: Vast's client would send the request again without end.
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
        """Return the object under the key `error`, the same in every dialect."""
        return {
            "code": self.code,
            "message": self.message,
            "fault": self.fault.value,
            "retryable": self.retryable,
            "retryable_elsewhere": self.retryable_elsewhere,
            "details": [asdict(detail) for detail in self.details],
        }


class InternalError(WorkerError):
    """An unexpected exception: a bug in the worker."""


def error_class(code: str) -> type[WorkerError]:
    """Return the class that has this code; WorkerError for a code of another version."""
    kinds: list[type[WorkerError]] = [WorkerError]
    for kind in kinds:
        if kind.code == code and kind is not WorkerError:
            return kind
        kinds.extend(kind.__subclasses__())
    return WorkerError
