"""Readers of a worker's responses in any dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import orjson

from worker.sse import EventParser

Body = dict[str, Any]
ERROR_FIELDS = frozenset({"code", "message", "fault", "retryable", "retryable_elsewhere", "details"})


def error_of(body: Mapping[str, Any]) -> Body | None:
    """Return the worker's error object, or None if the response has none."""
    for name in ("error_info", "error"):
        error = body.get(name)
        if isinstance(error, dict) and error.keys() == ERROR_FIELDS:
            return error
    return None


def error_code(body: Mapping[str, Any]) -> str | None:
    """Return the error code, None without an error, or a text that shows an error which is not the worker's object."""
    error = error_of(body)
    if error is not None:
        return str(error["code"])
    return f"unknown error object: {body['error']}" if "error" in body else None


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Body]]:
    """Yield name, id and data of each server-sent event."""
    parser = EventParser()
    async for chunk in stream.content.iter_any():
        for event in parser.feed(chunk):
            yield event.name, event.id, orjson.loads(event.data)
