"""Reading what a worker answers, in any dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import orjson

from worker.sse import EventParser

Body = dict[str, Any]
OF_AN_ERROR = frozenset({"code", "message", "fault", "retryable", "retryable_elsewhere", "details"})


def error_of(body: Mapping[str, Any]) -> Body | None:
    """Our error object; None in an answer without one."""
    for name in ("error_info", "error"):
        found = body.get(name)
        if isinstance(found, dict) and found.keys() == OF_AN_ERROR:
            return found
    return None


def error_code(body: Mapping[str, Any]) -> str | None:
    """None where there is no error; the text of what claims to be one and isn't ours."""
    found = error_of(body)
    if found is not None:
        return str(found["code"])
    return f"not ours: {body['error']}" if "error" in body else None


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Body]]:
    """(name, number, data) of each server-sent event."""
    parser = EventParser()
    async for piece in stream.content.iter_any():
        for event in parser.feed(piece):
            yield event.name, event.id, orjson.loads(event.data)
