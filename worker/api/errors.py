"""The one place where an exception becomes a response, in the shape of the dialect that was asked in."""

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
"""Set once a status and headers have been sent."""


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await respond(request, handler, partial(services_of, request))


async def respond(request: web.Request, handler: Handler, found: Callable[[], Services]) -> web.StreamResponse:
    """Return the handler's response, or the one that its exception becomes."""
    try:
        return await handler(request)
    except WorkerError as error:
        return error_response(request, found(), error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(request, found(), _translated(request, error, found().settings.server.max_body))
    except Exception as error:
        lacking = shortage_error(error)
        if lacking is not None and STREAMING not in request:
            return error_response(request, found(), lacking)
        log.exception("%s %s failed in a way nobody expected", request.method, request.path)
        if request.get(STREAMING):
            raise  # a second answer in the middle of the first would be read as a part of it
        return error_response(request, found(), InternalError("an unexpected error in the worker"))


def error_response(request: web.Request, found: Services, error: WorkerError) -> web.Response:
    dialect, status = request.get(DIALECT, NATIVE), status_of(error, found.traits)
    found.observers.notify(RequestRefused(_route(request), dialect.name, error.code, status))
    return json_response(dialect.failed(None, error), status, headers_of(error))


def _route(request: web.Request) -> str:
    """The path of the route with its placeholders; empty where no route has the path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def headers_of(error: WorkerError) -> dict[str, str]:
    headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s else {}
    return headers | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})


def _translated(request: web.Request, error: web.HTTPException, max_body_mib: int) -> WorkerError:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return too_large(max_body_mib)
    if isinstance(error, web.HTTPNotFound):
        known = [resource.canonical for resource in request.app.router.resources()]
        return NotFound(f"no route {request.path}: {route_hint(request.path, known)}")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} {request.path}: use {', '.join(sorted(error.allowed_methods))}")
    return ClientError(error.reason)


def too_large(max_body_mib: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {max_body_mib} MiB (WORKER_MAX_BODY_MIB)")
