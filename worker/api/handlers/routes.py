"""Routes of handlers: list them, and call one with JSON arguments."""

from __future__ import annotations

import re

from aiohttp import web

from worker.api.edge.authorization import authorization_of
from worker.api.generate import wait_for_result
from worker.api.request_body import caller_of
from worker.api.responses import pending_response
from worker.api.services import json_response, services_of
from worker.connections import mark_authenticated
from worker.errors import ClientError

RESPOND_ASYNC = re.compile(r"(?:^|,)\s*respond-async\s*(?:,|;|$)", re.IGNORECASE)
"""Matches a header `Prefer` (RFC 7240) that wants 202 at once."""


async def list_handlers(request: web.Request) -> web.Response:
    """Handle `GET /handlers`: list the handlers with their parameters and docstrings."""
    services = services_of(request)
    services.access.authenticate(authorization_of(request))
    return json_response((await services.handler_calls.pool.table()).describe())


async def call_handler(request: web.Request) -> web.StreamResponse:
    """Handle `POST /handlers/{name}`: call a handler, and return its result.

    With `Prefer: respond-async`, return 202 at once.
    """
    services = services_of(request)
    principal = services.access.admit(authorization_of(request))
    responds_later = bool(RESPOND_ASYNC.search(",".join(request.headers.getall("Prefer", ()))))
    caller = caller_of(request, principal, collectable=responds_later)
    chunks = request.content.iter_any()
    try:
        job = await services.handler_calls.submit(request.match_info["name"], chunks, request.charset or "", caller)
    except web.RequestPayloadError as error:
        raise ClientError("the body does not match its Content-Encoding or Transfer-Encoding") from error
    mark_authenticated(request)  # without tokens, an accepted job counts as authentication
    if responds_later:
        job.detached = True
        return pending_response(request, services, job)
    return await wait_for_result(request, services, job)
