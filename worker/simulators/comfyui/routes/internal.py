"""Routes for the server's log and folders. They do not exist below /api."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import empty_response, json_object, json_response


def routes() -> list[web.RouteDef]:
    return [
        web.get("/internal/logs", logs),
        web.get("/internal/logs/raw", raw_logs),
        web.patch("/internal/logs/subscribe", subscribe),
        web.get("/internal/folder_paths", folder_paths),
        web.get("/internal/files/{type}", files),
    ]


async def logs(request: web.Request) -> web.Response:
    """Return all kept log lines as one JSON string."""
    return json_response("".join(f"{line.time} - {line.message}" for line in request.app[ENGINE].logs.lines()))


async def raw_logs(request: web.Request) -> web.Response:
    """Return the kept log lines as objects, with the size of an assumed terminal."""
    lines = [line.as_json() for line in request.app[ENGINE].logs.lines()]
    return json_response({"entries": lines, "size": {"cols": 80, "rows": 24}})


async def subscribe(request: web.Request) -> web.Response:
    """Subscribe a client to the log, or unsubscribe it. The body is `{"clientId", "enabled"}`.

    A client without a WebSocket gets a 200 response too, and no lines.
    """
    body = await json_object(request)
    client_id = str(body.get("clientId"))
    if body.get("enabled"):
        request.app[ENGINE].logs.subscribe(client_id)
    else:
        request.app[ENGINE].logs.unsubscribe(client_id)
    return empty_response()


async def folder_paths(request: web.Request) -> web.Response:
    """Return no folders, because models have no real ones."""
    return json_response({})


async def files(request: web.Request) -> web.Response:
    """Return the names of the files at the top of a folder, newest first, as loaders accept them (`x.png [output]`)."""
    folder_type = request.match_info["type"]
    try:
        folder = request.app[ENGINE].folders.path(folder_type)
    except KeyError:
        return json_response({"error": "Invalid directory type"}, status=400)
    paths = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: -path.stat().st_mtime)
    return json_response([f"{path.name} [{folder_type}]" for path in paths])
