"""What the editor asks for: this engine has no editor, so little is there, in the right shapes."""

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
    """Mounted with and without /api."""
    return [
        web.get("/extensions", nothing_listed),
        web.get("/users", users),
        web.get("/settings", nothing),
        web.get("/userdata", userdata),
        web.get("/workflow_templates", nothing),
        web.get("/i18n", nothing),
        web.get("/global_subgraphs", nothing),
    ]


def api_routes() -> list[web.RouteDef]:
    """Under /api only: the assets system, which is off as it is by default."""
    return [
        web.route("*", f"/api/{family}{tail}", disabled) for family in ("assets", "tags") for tail in ("", "/{path:.*}")
    ]


def last_routes() -> list[web.RouteDef]:
    """Whatever nobody else took: the page, and ComfyUI's static files, of which there are none."""
    return [web.get("/", page), web.get("/{path:.*}", missing)]


async def nothing_listed(request: web.Request) -> web.Response:
    return json_response([])


async def nothing(request: web.Request) -> web.Response:
    return json_response({})


async def users(request: web.Request) -> web.Response:
    return json_response({"storage": "server", "migrated": False})


async def userdata(request: web.Request) -> web.Response:
    return web.Response(status=404, text="Directory not found")


async def disabled(request: web.Request) -> web.Response:
    return json_response(SERVICE_DISABLED, status=503)


async def page(request: web.Request) -> web.Response:
    response = web.Response(text=PAGE, content_type="text/html")
    response.headers["Cache-Control"] = "no-store, must-revalidate"
    return response


async def missing(request: web.Request) -> web.Response:
    """404 as static files answer it; a path that starts with two slashes isn't even looked for there."""
    if request.path.startswith("//"):
        raise web.HTTPNotFound
    return web.Response(status=404, headers={"Content-Type": "application/octet-stream"})
