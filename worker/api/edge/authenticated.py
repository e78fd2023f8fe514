"""Middleware that marks the connections of authenticated callers."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.edge.authorization import authorization_of
from worker.api.services import services_of
from worker.connections import mark_authenticated


@web.middleware
async def mark_authenticated_callers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mark the connection if the request has one of the operator's tokens. Tokens of jobs are checked by the routes."""
    access = services_of(request).access
    if access.tokens and access.principal(authorization_of(request)) is not None:
        mark_authenticated(request)
    return await handler(request)
