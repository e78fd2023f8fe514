"""Response bodies that the proxy makes itself, in the dialect of the request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from worker.dialects import BY_NAME, NATIVE, VAST
from worker.errors import WorkerError
from worker.proxy.job import ProxyJob


def error_body(job: ProxyJob, error: WorkerError) -> bytes:
    """Return the body of an error of a job."""
    return orjson.dumps(BY_NAME[job.facts.dialect].failed(job.id, error))


def pending_body(job: ProxyJob, url: str, progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a 202 response. `progress` has the fields that the backend reports.

    Vast's dialect has other fields around them.
    """
    fields = {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}
    if job.facts.dialect != VAST.name:
        return fields
    return {"message": "Request accepted", "comfyui_response": {}, "output": [], "timings": {}, **fields}


def in_own_dialect(job: ProxyJob, body: bytes) -> bytes:
    """Return the error of a call in the native dialect, because the call was sent in the form of RunPod's."""
    if not job.facts.handler or job.facts.dialect != NATIVE.name:
        return body
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(value, dict) or not isinstance(value.get("error_info"), dict):
        return body
    return orjson.dumps({"status": "error", "id": value.get("id"), "error": value["error_info"]})


def with_resubmissions(job: ProxyJob, body: bytes) -> bytes:
    """Return a result with a warning for each backend that has lost the job. Other bodies are not changed."""
    warnings = [
        {
            "message": f"the job was sent again, because the backend {attempt.backend!r} has lost it: {attempt.reason}",
            "suggestion": "the first run may have cost GPU time, and its webhook may have been sent",
        }
        for attempt in job.lost
    ]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not warnings or not isinstance(value, dict):
        return body
    return orjson.dumps({**value, "warnings": [*value.get("warnings", ()), *warnings]})
