"""The bodies that are sent to RunPod as results, and their limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from worker.errors import OutputTooLargeForInline

SYNC_PREFIX = "sync-"
"""Beginning of the ids of jobs that were sent by /runsync."""
ASYNC_LIMIT, SYNC_LIMIT = 9_500_000, 19_000_000
"""Largest results in bytes. RunPod documents 10 MB for /run and 20 MB for /runsync, and rejects larger ones with 400.
The rest is a margin, because it does not document how it counts."""
CURE = (
    "send `s3Config` beside `input`, or set a bucket on the endpoint "
    "(WORKER_S3_BUCKET, or BUCKET_ENDPOINT_URL and its keys)"
)
LONGEST_ERROR = 4000
"""Characters of an error whose fields are too large to be sent."""


def limit_of(job_id: str) -> int:
    """Return the largest result of a job in bytes."""
    return SYNC_LIMIT if job_id.startswith(SYNC_PREFIX) else ASYNC_LIMIT


def completed_result(output: bytes, *, stop_pod: bool = False) -> bytes:
    """Return the body for a job that succeeded, with its output as JSON."""
    return b'{"output":%b%b}' % (output, b',"stopPod":true' if stop_pod else b"")


def failed_result(body: Mapping[str, Any], *, stop_pod: bool = False) -> bytes:
    """Return the body for a job that failed, from the body of the error in RunPod's dialect.

    RunPod expects a text in `error`. The other fields go into `output`, which is what its SDK does with them.
    """
    error, output = str(body["error"]), {name: value for name, value in body.items() if name != "error"}
    stop = {"stopPod": True} if stop_pod else {}
    json = orjson.dumps({"output": output, "error": error, **stop})
    if len(json) <= ASYNC_LIMIT:
        return json
    return orjson.dumps({"error": error[:LONGEST_ERROR], **stop})


def progress_body(progress: Mapping[str, Any], *, streamed: bool = False) -> bytes:
    """Return the body of a progress update, which is a part of the job's stream or has the form of a result."""
    return orjson.dumps({"output": progress} if streamed else {"status": "IN_PROGRESS", "output": progress})


def too_large(job_id: str, size: int) -> OutputTooLargeForInline:
    """Return the error for a result of `size` bytes that is above the limit of its job."""
    kind = "a job of /runsync" if job_id.startswith(SYNC_PREFIX) else "a job of /run"
    return OutputTooLargeForInline(
        f"the result has {size:,} bytes, and RunPod accepts {limit_of(job_id):,} for {kind}: {CURE}"
    )


def with_cure(error: OutputTooLargeForInline) -> OutputTooLargeForInline:
    """Return the error with the cure for clients of RunPod, if it has only that for clients of the worker."""
    if CURE in error.message:
        return error
    return OutputTooLargeForInline(f"{error.message.partition(':')[0]}: {CURE}", error.details)
