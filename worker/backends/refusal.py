"""What an error response of a worker says about sending the same job to another backend. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from worker.backends.base import JSON
from worker.errors import BackendRefused, BodyTooLarge

GATEWAY_STATUSES = frozenset({429, 500, 502, 503, 504})
"""Statuses of a proxy or a platform in front of a worker, whose body is not a worker's error."""
KEY_STATUSES = frozenset({401, 403})
"""Statuses for a key of the operator that the backend does not accept. The caller is not at fault."""


@dataclass(frozen=True, slots=True)
class RefusalFacts:
    """The error of a response. `elsewhere` means that another backend may accept the same job, or run it."""

    code: str
    message: str
    elsewhere: bool


def read_refusal(status: int, body: bytes) -> RefusalFacts:
    """Return the facts in an error response, in any dialect. `body` may be anything.

    A body that is no worker's comes from a server in front of it, or from another server: another backend may be a
    worker.
    """
    error = _error_object(body)
    if status in KEY_STATUSES or error is None:
        text = str(error["message"]) if error else body[:200].decode(errors="replace").strip()
        return RefusalFacts(f"http_{status}", text or f"HTTP {status} without a body", elsewhere=True)
    return RefusalFacts(str(error["code"]), str(error.get("message", "")), bool(error.get("retryable_elsewhere")))


def is_foreign(status: int, content_type: str) -> bool:
    """Return whether a response is that of a server in front of the worker, such as a reverse proxy or a platform."""
    return status in GATEWAY_STATUSES and content_type != JSON


def _error_object(body: bytes) -> dict[str, Any] | None:
    """Return the object with the code of an error, which is in another field in RunPod's dialect, or None."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    error = value.get("error_info") or value.get("error")
    return error if isinstance(error, dict) and "code" in error else None


def refused_by_platform(
    name: str, status: int, code: str, message: str, retry_s: float | None = None
) -> BackendRefused:
    """Return the error for a job that a platform did not give to a worker. Another backend may accept it.

    The body has the form of the native dialect.
    """
    error = {"code": code, "message": message, "fault": "worker", "retryable": True, "retryable_elsewhere": True}
    body = orjson.dumps({"status": "error", "error": {**error, "details": []}})
    return BackendRefused(f"{name}: {message}", status, body, elsewhere=True, retry_after_s=retry_s)


def too_large(name: str, size: int, limit: int) -> BackendRefused:
    """Return the error for a job above the limit of a platform. Another backend may accept it."""
    message = f"the request has {size:,} bytes, and the limit is {limit:,}: send input files by URL"
    return refused_by_platform(name, BodyTooLarge.status, BodyTooLarge.code, message)
