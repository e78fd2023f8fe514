"""Status and body of a job that was sent as a whole request, from RunPod's status object. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.dialects import BY_NAME, NATIVE
from worker.errors import InternalError, JobCancelled, JobTimeout, WorkerError, error_class

TEXT = re.compile(r"HTTP (?P<status>\d{3}) (?P<code>\w+): (?P<message>.*)", re.DOTALL)
"""The text of a failure, from which status and code are read if RunPod has dropped the `output` beside it."""


@dataclass(frozen=True, slots=True)
class HttpResult:
    """Status and JSON value of a response."""

    status: int
    body: Any


def whole_result(answer: Mapping[str, Any], dialect: str) -> HttpResult:
    """Return the result in the status object of a job that has ended.

    Errors that no worker wrote, such as a timeout at RunPod, have the form of the job's dialect.
    """
    output = answer.get("output") if answer.get("status") in {"COMPLETED", "FAILED"} else None
    if isinstance(output, Mapping) and isinstance(output.get("status"), int) and "body" in output:
        return HttpResult(output["status"], output["body"])
    error, status = error_of(answer)
    body = BY_NAME.get(dialect, NATIVE).failed(str(answer.get("id", "")), error)
    return HttpResult(status, body)


def error_of(answer: Mapping[str, Any]) -> tuple[WorkerError, int]:
    """Return the error of a job without a result of its own, and its HTTP status."""
    state = answer.get("status")
    if state == "CANCELLED":
        error: WorkerError = JobCancelled("the job was cancelled")
        return error, error.status
    if state == "TIMED_OUT":
        error = JobTimeout("the job has reached the execution timeout of its RunPod endpoint")
        return error, error.status
    text = answer.get("error")
    match = TEXT.match(text) if isinstance(text, str) else None
    if match is not None:
        return error_class(match["code"])(match["message"]), int(match["status"])
    output = answer.get("output")
    info = output.get("error_info") if isinstance(output, Mapping) else None
    if isinstance(info, Mapping):
        error = error_class(str(info.get("code")))(str(info.get("message")))
        return error, error.status
    error = InternalError(f"RunPod reports: {text or 'a result that no worker of this kind sends'}")
    return error, error.status
