"""Routes that ComfyUI's editor uses. The engine has no editor, so they return empty results in the right shapes."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.server.responses import json_response

PAGE = (
    "<!doctype html><title>embedded engine</title><p>This is the embedded engine of comfy-worker: no editor here.</p>"
)
SERVICE_DISABLED = {
    "error": {
        "code": "SERVICE_DISABLED",
        "message": "Assets system is disabled. Start the server with --enable-assets to use this feature.",
        "details": {},
    }
}


def routes() -> list[web.RouteDef]:
    """Return the routes that exist with and without /api."""
    return [
        web.get("/extensions", empty_list),
        web.get("/users", users),
        web.get("/settings", empty_object),
        web.get("/userdata", userdata),
        web.get("/workflow_templates", empty_object),
        web.get("/i18n", empty_object),
        web.get("/global_subgraphs", empty_object),
    ]


def api_routes() -> list[web.RouteDef]:
    """Return the routes of the assets system, which exist only below /api and are disabled, as by default."""
    return [
        web.route("*", f"/api/{family}{tail}", disabled) for family in ("assets", "tags") for tail in ("", "/{path:.*}")
    ]


def last_routes() -> list[web.RouteDef]:
    """Return the routes that are matched last: the page, and ComfyUI's static files, of which there are none."""
    return [web.get("/", page), web.get("/{path:.*}", missing)]


async def empty_list(request: web.Request) -> web.Response:
    """Return an empty list."""
    return json_response([])


async def empty_object(request: web.Request) -> web.Response:
    """Return an empty object."""
    return json_response({})


async def users(request: web.Request) -> web.Response:
    """Return that the server stores user data and has no users of its own."""
    return json_response({"storage": "server", "migrated": False})


async def userdata(request: web.Request) -> web.Response:
    """Return 404, because there is no user data."""
    return web.Response(status=404, text="Directory not found")


async def disabled(request: web.Request) -> web.Response:
    """Return 503, because the assets system is disabled."""
    return json_response(SERVICE_DISABLED, status=503)


async def page(request: web.Request) -> web.Response:
    """Return a page that says what this server is."""
    response = web.Response(text=PAGE, content_type="text/html")
    response.headers["Cache-Control"] = "no-store, must-revalidate"
    return response


async def missing(request: web.Request) -> web.Response:
    """Return 404 as for a static file. A path that starts with two slashes gets aiohttp's own 404."""
    if request.path.startswith("//"):
        raise web.HTTPNotFound
    return web.Response(status=404, headers={"Content-Type": "application/octet-stream"})
