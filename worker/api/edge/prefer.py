"""The wait for the end of a job that a client asks for with `Prefer: wait=SECONDS` (RFC 7240)."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from aiohttp import web

from worker.api.services import services_of
from worker.job import Job

WAIT = re.compile(r"(?:^|,)\s*wait=(\d{1,4})\s*(?:,|;|$)", re.IGNORECASE)
"""Matches the seconds that a client is willing to wait."""


def preferred_wait_s(request: web.Request) -> int | None:
    """Return the seconds in `Prefer`, or None if the client does not prefer to wait."""
    wait = WAIT.search(request.headers.get("Prefer", ""))
    return None if wait is None else int(wait[1])


async def wait_if_preferred(request: web.Request, job: Job) -> bool:
    """Wait until the job ends, at most for the seconds in `Prefer`. Return whether the client prefers to wait."""
    wait_s = preferred_wait_s(request)
    if wait_s is None:
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await services_of(request).manager.wait_for_end(job)
    return True
