"""Converts exceptions to responses, in the dialect of the request."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.edge.unknown_routes import route_hint
from worker.api.errors import DIALECT, STREAMING, headers_of
from worker.api.services import json_response
from worker.dialects import NATIVE
from worker.errors import ClientError, InternalError, MethodNotAllowed, NotFound, WorkerError, shortage_error
from worker.proxy.events import RequestRejected
from worker.proxy.services import proxy_of

log = logging.getLogger(__name__)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that returns the response of the handler, or that of the exception that it raises."""
    try:
        return await handler(request)
    except WorkerError as error:
        return error_response(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(request, _worker_error(request, error))
    except Exception as error:
        shortage = shortage_error(error)
        if shortage is None:
            log.exception("unexpected error in %s %s", request.method, request.path)
        if request.get(STREAMING):
            raise  # the headers are sent, so a second response would become part of the first
        return error_response(request, shortage or InternalError("an unexpected error in the proxy"))


def error_response(request: web.Request, error: WorkerError) -> web.Response:
    """Return the response for an error."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    proxy_of(request).notify(RequestRejected(route, error.code, error.status))
    return json_response(request.get(DIALECT, NATIVE).failed(None, error), error.status, headers_of(error))


def _worker_error(request: web.Request, error: web.HTTPException) -> WorkerError:
    """Return the WorkerError with the same meaning as one of aiohttp's HTTP exceptions."""
    if isinstance(error, web.HTTPNotFound):
        routes = [resource.canonical for resource in request.app.router.resources()]
        return NotFound(f"no route {request.path}: {route_hint(request.path, routes)}")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} {request.path}: use {', '.join(sorted(error.allowed_methods))}")
    return ClientError(error.reason)
