"""What all routes have in common: OPTIONS, the check of the origin, bare 500 responses, and the `Server` header."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from worker import __version__
from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import ServerFailure, empty_response, fail_request

logger = logging.getLogger(__name__)

SERVER = f"comfy-worker-embedded/{__version__}"
TROUBLE_TEXT = "500 Internal Server Error\n\nServer got itself in trouble"


async def add_server_header(request: web.Request, response: web.StreamResponse) -> None:
    """Set the `Server` header, which shows that this is not a real ComfyUI."""
    response.headers["Server"] = SERVER


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle OPTIONS on any path, reject requests of other origins, and return a bare 500 for `ServerFailure`.

    The fault `errors` also makes requests fail with 500.
    """
    if request.method == "OPTIONS":
        return empty_response()
    if _is_foreign(request):
        return empty_response(403)
    try:
        if request.app[ENGINE].fault_injector.take_error():
            fail_request("injected fault")
        return await handler(request)
    except ServerFailure as error:
        logger.info("%s %s: %s", request.method, request.path, error)
        response = web.Response(status=500, text=TROUBLE_TEXT)
        response.force_close()
        return response


def _is_foreign(request: web.Request) -> bool:
    """Return whether a page of another origin sent this request.

    Origins are compared only when the request uses a loopback host name. `Sec-Fetch-Site` is checked always.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    host = request.headers.get("Host")
    if not origin or not host or not _is_loopback(host):
        return False
    origin_netloc = urlsplit(origin).netloc
    if not origin_netloc:
        return False
    return origin_netloc.lower() != urlsplit(f"//{host}").netloc.lower()


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
