"""The server's inside: its log, its folders. These exist without /api only."""

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
    """All lines as one JSON string."""
    return json_response("".join(f"{line.time} - {line.message}" for line in request.app[ENGINE].logs.lines()))


async def raw_logs(request: web.Request) -> web.Response:
    lines = [line.as_json() for line in request.app[ENGINE].logs.lines()]
    return json_response({"entries": lines, "size": {"cols": 80, "rows": 24}})


async def subscribe(request: web.Request) -> web.Response:
    """`{"clientId", "enabled"}`; a client without a socket is 200 too, and gets nothing."""
    body = await json_object(request)
    client_id = str(body.get("clientId"))
    if body.get("enabled"):
        request.app[ENGINE].logs.subscribe(client_id)
    else:
        request.app[ENGINE].logs.unsubscribe(client_id)
    return empty_response()


async def folder_paths(request: web.Request) -> web.Response:
    return json_response({})


async def files(request: web.Request) -> web.Response:
    """File names of the top folder, newest first, as loaders take them."""
    folder_type = request.match_info["type"]
    try:
        folder = request.app[ENGINE].folders.path(folder_type)
    except KeyError:
        return json_response({"error": "Invalid directory type"}, status=400)
    paths = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: -path.stat().st_mtime)
    return json_response([f"{path.name} [{folder_type}]" for path in paths])
