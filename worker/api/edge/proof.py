"""Tells the connection of a request that its caller is known."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from worker.api.services import services
from worker.connections import prove


@web.middleware
async def prove_callers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One of the operator's tokens is proof before the body is read. A job's token is looked at with the job."""
    access = services(request).access
    if access.tokens and access.principal(request.headers.get(hdrs.AUTHORIZATION, "")) is not None:
        prove(request)
    return await handler(request)
