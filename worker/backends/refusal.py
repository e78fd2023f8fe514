"""What an error response of a worker says about sending the same job to another backend. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from worker.backends.base import JSON
from worker.errors import BackendRefused, BodyTooLarge

KEY_STATUSES = frozenset({401, 403})
"""Statuses for a key of the operator that the backend does not accept. The caller is not at fault."""


@dataclass(frozen=True, slots=True)
class RefusalFacts:
    """The error of a response. `elsewhere` means that another backend may accept the same job, or run it.

    `job_id` is empty if there is no job, so that nothing was accepted.
    """

    code: str
    message: str
    elsewhere: bool
    job_id: str = ""


def read_refusal(status: int, body: bytes) -> RefusalFacts:
    """Return the facts in an error response, in any dialect. `body` may be anything.

    A body that is no worker's comes from a server in front of it, or from another server: another backend may be a
    worker.
    """
    value = _object(body)
    error = value.get("error_info") or value.get("error")  # the first one in RunPod's dialect
    if not isinstance(error, dict) or "code" not in error:
        text = body[:200].decode(errors="replace").strip()
        return RefusalFacts(f"http_{status}", text or f"HTTP {status} without a body", elsewhere=True)
    message, job_id = str(error.get("message", "")), str(value.get("id") or "")
    if status in KEY_STATUSES:
        return RefusalFacts(f"http_{status}", message, elsewhere=True)
    return RefusalFacts(str(error["code"]), message, bool(error.get("retryable_elsewhere")), job_id)


def is_foreign(status: int, content_type: str) -> bool:
    """Return whether a response about a job is that of a server in front of the worker, or of a platform.

    A worker answers in JSON, and never with 401 or 403, because the request has the token of the job.
    """
    return status in KEY_STATUSES or (status >= 400 and content_type != JSON)


def lost_answer(status: int, content_type: str) -> bool:
    """Return whether a server in front of the worker has lost the answer to a submission, which may have arrived.

    502 and 504 are those of reverse proxies, and 520 to 527 those of Cloudflare.
    """
    return content_type != JSON and (status in {502, 504} or 520 <= status <= 527)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or an empty one for anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


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
