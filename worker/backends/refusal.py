"""What an error response of a worker says about sending the same job to another backend. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from worker.backends.base import JSON

GATEWAY_STATUSES = frozenset({429, 500, 502, 503, 504})
"""Statuses of a proxy or a platform in front of a worker, whose body is not a worker's error."""
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
    """Return the facts in an error response, in any dialect. `body` may be anything."""
    value = _object(body)
    error = value.get("error_info") or value.get("error")  # the first one in RunPod's dialect
    if status in KEY_STATUSES or not isinstance(error, dict) or "code" not in error:
        text = body[:200].decode(errors="replace").strip()
        elsewhere = status in GATEWAY_STATUSES or status in KEY_STATUSES
        return RefusalFacts(f"http_{status}", text or f"HTTP {status} without a body", elsewhere)
    message, elsewhere = str(error.get("message", "")), bool(error.get("retryable_elsewhere"))
    return RefusalFacts(str(error["code"]), message, elsewhere, str(value.get("id") or ""))


def is_foreign(status: int, content_type: str) -> bool:
    """Return whether a response to a request about a job is that of a server in front of the worker.

    A worker answers such a request in JSON, and never with 401 or 403, because it has the token of the job.
    """
    return status in KEY_STATUSES or (status >= 400 and content_type != JSON)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or an empty one for anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
