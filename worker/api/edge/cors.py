"""Cross-origin resource sharing: which pages may use this worker from a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from worker.api.services import json_response
from worker.dialects import NATIVE
from worker.errors import Forbidden, StartupError

ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, Range, X-Comfy-Org-Api-Key, "
    "X-Worker-Token"
)
EXPOSED = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, Location, Retry-After, Server-Timing, "
    "WWW-Authenticate, X-Comfy-Attempts, X-Comfy-Backend, X-Job-Id, X-Job-Outputs, X-Job-Problems, X-Job-Token, "
    "X-Output-Index"
)
MAX_AGE_S = "600"
"""Seconds that a browser may cache the response to a preflight request."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Allowed origins. With `any_origin`, all other pages may use the worker too, but without credentials."""

    origins: frozenset[str]
    any_origin: bool = False

    @classmethod
    def read(cls, text: str) -> Cors:
        """Parse WORKER_CORS_ORIGINS. Raises StartupError with the invalid entry."""
        entries = {entry.strip() for entry in text.split(",")} - {""}
        origins = {_origin(entry) for entry in entries - {"*"}}
        return cls(frozenset(origins), any_origin="*" in entries)

    @property
    def enabled(self) -> bool:
        """Whether any page of another origin may use the worker."""
        return bool(self.origins) or self.any_origin

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return the CORS headers of a response for this origin. The result is empty if the origin is not allowed."""
        if origin is not None and origin in self.origins:
            allowed: dict[str, str] = {
                hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
                hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
            }
        elif origin is not None and self.any_origin:
            allowed = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}
        else:
            return {}
        return {**allowed, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: EXPOSED}

    def preflight(self, headers: Mapping[str, str]) -> web.Response:
        """Return the response to a preflight request: 204, or 403 if the origin is not allowed.

        It does not check that the route exists. All requested headers are allowed.
        """
        origin = headers[hdrs.ORIGIN]
        if not self.headers(origin):
            error = Forbidden(f"WORKER_CORS_ORIGINS does not name the origin {origin[:200]!r}")
            return json_response(NATIVE.failed(None, error), error.status)
        requested_headers = headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
        allowed_headers = requested_headers if HEADER_NAMES.fullmatch(requested_headers) else HEADERS
        response = web.Response(
            status=204,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: allowed_headers,
                hdrs.ACCESS_CONTROL_MAX_AGE: MAX_AGE_S,
            },
        )
        if headers.get("Access-Control-Request-Private-Network") == "true":
            response.headers["Access-Control-Allow-Private-Network"] = "true"
        return response


def _origin(entry: str) -> str:
    """Return an origin as browsers write it: in lower case, without the default port of its scheme.

    Raises StartupError for an entry that is not an origin.
    """
    origin = entry.lower().rstrip("/")
    if not ORIGIN.fullmatch(origin):
        raise StartupError(
            f"WORKER_CORS_ORIGINS: {entry!r} is neither * nor an origin like https://app.example.com without a path"
        )
    return origin.removesuffix(DEFAULT_PORTS[origin.partition(":")[0]])


def allow_origins(app: web.Application, cors: Cors) -> None:
    """Add CORS headers to all responses of the application, including errors and streams."""

    @web.middleware
    async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Respond to a preflight request, or pass the request on."""
        is_options = request.method == hdrs.METH_OPTIONS and hdrs.ORIGIN in request.headers
        if is_options and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return cors.preflight(request.headers)
        return await handler(request)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers to a response."""
        response.headers.update(cors.headers(request.headers.get(hdrs.ORIGIN)))
        if cors.origins:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)

    app.middlewares.append(preflight)
    app.on_response_prepare.append(add_headers)
