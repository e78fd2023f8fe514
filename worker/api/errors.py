"""Converts exceptions to responses, in the dialect of the request."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.edge.unknown_routes import route_hint
from worker.api.services import Services, json_response, services_of
from worker.dialects import NATIVE, Dialect
from worker.errors import (
    BodyTooLarge,
    ClientError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    WorkerError,
    shortage_error,
)
from worker.events import RequestRefused
from worker.intake import status_of

log = logging.getLogger(__name__)

DIALECT = web.RequestKey("dialect", Dialect)
STREAMING = web.RequestKey("streaming", bool)
"""Set when status and headers have been sent."""


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that converts exceptions to responses."""
    return await respond(request, handler, partial(services_of, request))


async def respond(request: web.Request, handler: Handler, get_services: Callable[[], Services]) -> web.StreamResponse:
    """Return the response of the handler, or an error response if it raises an exception."""
    try:
        return await handler(request)
    except WorkerError as error:
        return error_response(request, get_services(), error)
    except web.HTTPException as error:
        if error.status < 400:  # not an error
            raise
        return error_response(
            request, get_services(), _worker_error(request, error, get_services().settings.server.max_body)
        )
    except Exception as error:
        resource_error = shortage_error(error)
        if resource_error is not None and STREAMING not in request:
            return error_response(request, get_services(), resource_error)
        log.exception("unexpected error in %s %s", request.method, request.path)
        if request.get(STREAMING):
            raise  # the headers are sent, so a second response would become part of the first
        return error_response(request, get_services(), InternalError("an unexpected error in the worker"))


def error_response(request: web.Request, services: Services, error: WorkerError) -> web.Response:
    """Return the response for an error, and notify observers."""
    dialect, status = request.get(DIALECT, NATIVE), status_of(error, services.traits)
    services.observers.notify(RequestRefused(_route(request), dialect.name, error.code, status))
    return json_response(dialect.failed(None, error), status, headers_of(error))


def _route(request: web.Request) -> str:
    """Return the path of the route with placeholders, or an empty string for an unknown path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def headers_of(error: WorkerError) -> dict[str, str]:
    """Return the headers that an error needs: `Retry-After` and `WWW-Authenticate`."""
    headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s else {}
    return headers | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})


def _worker_error(request: web.Request, error: web.HTTPException, max_body_mib: int) -> WorkerError:
    """Return the WorkerError with the same meaning as one of aiohttp's HTTP exceptions."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return too_large(max_body_mib)
    if isinstance(error, web.HTTPNotFound):
        routes = [resource.canonical for resource in request.app.router.resources()]
        return NotFound(f"no route {request.path}: {route_hint(request.path, routes)}")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} {request.path}: use {', '.join(sorted(error.allowed_methods))}")
    return ClientError(error.reason)


def too_large(max_body_mib: int) -> BodyTooLarge:
    """Return the error for a body above WORKER_MAX_BODY_MIB."""
    return BodyTooLarge(f"the body is larger than {max_body_mib} MiB (WORKER_MAX_BODY_MIB)")
