"""The dialect of a job, for errors that no worker has written: those of a platform."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from worker.backends.base import RemoteResponse
from worker.dialects import BY_NAME, NATIVE, detect
from worker.errors import WorkerError

LARGE = 1_000_000
"""Bytes of JSON from which on it is parsed in a thread."""


async def parse(json: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value, parsed off the loop if it is large. Raises orjson.JSONDecodeError."""
    return orjson.loads(json) if len(json) < LARGE else await asyncio.to_thread(orjson.loads, json)


async def dump(value: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return the JSON of a value, made in a thread, because the value may be large."""
    return await asyncio.to_thread(orjson.dumps, value)


async def dialect_name(json: bytes) -> str:
    """Return the name of the dialect of a job, `native` for a body that is no JSON object."""
    try:
        body = await parse(json)
    except orjson.JSONDecodeError:
        return NATIVE.name
    return detect(body).name if isinstance(body, dict) else NATIVE.name


def error_result(dialect: str, job_id: str, error: WorkerError, status: int | None = None) -> RemoteResponse:
    """Return the response with an error in the dialect of a job."""
    body = BY_NAME.get(dialect, NATIVE).failed(job_id, error)
    return RemoteResponse.of(status or error.status, orjson.dumps(body))
