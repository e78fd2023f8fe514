"""Tells the connection of a request that its caller is known."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from worker.api.services import services_of
from worker.connections import mark_authenticated


@web.middleware
async def mark_authenticated_callers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One of the operator's tokens is proof before the body is read. A job's token is looked at with the job."""
    access = services_of(request).access
    if access.tokens and access.principal(request.headers.get(hdrs.AUTHORIZATION, "")) is not None:
        mark_authenticated(request)
    return await handler(request)
