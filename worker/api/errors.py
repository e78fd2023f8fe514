"""The one place where an exception becomes a response, in the shape of the dialect that was asked in."""

from __future__ import annotations

import logging
import math

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.services import json_response, services
from worker.dialects import NATIVE, Dialect
from worker.errors import (
    BodyTooLarge,
    ClientError,
    DiskFull,
    InternalError,
    MethodNotAllowed,
    NotFound,
    WorkerError,
)
from worker.events import RequestRefused
from worker.intake import status_of

log = logging.getLogger(__name__)

DIALECT = web.RequestKey("dialect", Dialect)
STREAMING = web.RequestKey("streaming", bool)
"""Set once a status and headers have been sent."""


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except WorkerError as error:
        return error_response(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(request, _translated(request, error))
    except Exception as error:
        if full := DiskFull.of(error):
            return error_response(request, full)
        log.exception("%s %s failed in a way nobody expected", request.method, request.path)
        if request.get(STREAMING):
            raise  # a second answer in the middle of the first would be read as a part of it
        return error_response(request, InternalError("an unexpected error in the worker"))


def error_response(request: web.Request, error: WorkerError, job_id: str | None = None) -> web.Response:
    dialect, found = request.get(DIALECT, NATIVE), services(request)
    status = status_of(error, found.traits)
    found.observers.notify(RequestRefused(_route(request), dialect.name, error.code, status))
    return json_response(dialect.failed(job_id, error), status, headers_of(error))


def _route(request: web.Request) -> str:
    """The path of the route with its placeholders; empty where no route has the path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def headers_of(error: WorkerError) -> dict[str, str]:
    headers = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s else {}
    return headers | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})


def _translated(request: web.Request, error: web.HTTPException) -> WorkerError:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return too_large(services(request).settings.max_body)
    if isinstance(error, web.HTTPNotFound):
        return NotFound(f"no route {request.path}; GET /openapi.json lists them")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} {request.path}: use {', '.join(sorted(error.allowed_methods))}")
    return ClientError(error.reason)


def too_large(max_body_mib: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {max_body_mib} MiB (WORKER_MAX_BODY_MIB)")
