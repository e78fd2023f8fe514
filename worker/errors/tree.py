"""The root of the errors that clients see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self


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


class Failure(Exception):
    """An error of a worker (`WorkerError.as_dict`), or of the command itself.

    `step` is the sentence that says what to do next. If it is empty, the step for the code is printed (`next_steps`). A
    command that raises this ends with `exit_code`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Sequence[Detail] = (),
        retryable: bool = False,
        *,
        step: str = "",
        exit_code: int = 1,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.retryable = retryable
        self.step = step
        self.exit_code = exit_code

    @classmethod
    def read(cls, body: object) -> Self:
        """Return the failure in the body of a response. The code is `bad_answer` if it has no worker's error."""
        match body:
            case {"error": {"code": str(code), "message": str(message), "details": list(details), **others}}:
                return cls(code, message, [detail_of(row) for row in details], bool(others.get("retryable")))
        return cls("bad_answer", f"the response is not a worker's: {str(body)[:200]}")

    @classmethod
    def of(cls, error: WorkerError) -> Self:
        """Return the failure for an error that the worker's own code raised in this process."""
        return cls(error.code, error.message, error.details)

    @classmethod
    def unreachable(cls, url: str, reason: object = "") -> Self:
        """Return the failure to reach a worker at this URL."""
        message = f"no worker responds at {url}" + (f": {reason}" if str(reason) else "")
        return cls("unreachable", message, retryable=True)

    def as_dict(self, step: str) -> dict[str, Any]:
        """Return the native dialect's error object, with the next step as `next`."""
        details = [{name: value for name, value in asdict(row).items() if value} for row in self.details]
        error = {"code": self.code, "message": self.message, "retryable": self.retryable, "details": details}
        return {"status": "error", "error": {**error, "next": step}}


def detail_of(row: Mapping[str, Any]) -> Detail:
    """Read one row of an error's details, or one problem of `POST /validate`."""
    return Detail(
        message=str(row.get("message", "")),
        node_id=row.get("node_id"),
        node_title=row.get("node_title"),
        class_type=row.get("class_type"),
        input=row.get("input"),
        suggestion=row.get("suggestion"),
        expected=row.get("expected"),
        comfyui_type=row.get("comfyui_type"),
    )
