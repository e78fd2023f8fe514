"""`GET /ws`: the frames of the caller's prompts."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from worker.api.comfy.callers import scope_of
from worker.api.comfy.client_prompts import Scope
from worker.api.comfy.frames import TextFrame
from worker.api.comfy.routes.engine import features_of
from worker.api.comfy.sockets import ClientSocket
from worker.api.errors import STREAMING
from worker.api.services import Services, services_of
from worker.connections import mark_authenticated

HEARTBEAT_S = 30.0
"""Seconds between pings, which show that a client is gone."""
LONGEST_MESSAGE = 64 * 1024
LONGEST_ID = 256


async def get_ws(request: web.Request) -> web.StreamResponse:
    """Handle `GET /ws`: send frames until the client disconnects. Without a client id, it gets a new one."""
    services, scope = services_of(request), scope_of(request)
    client_id = request.query.get("clientId", "")[:LONGEST_ID] or uuid.uuid4().hex
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LONGEST_MESSAGE)
    if not socket.can_prepare(request):
        return web.Response(status=400)
    await socket.prepare(request)
    request[STREAMING] = True
    mark_authenticated(request)
    connection = ClientSocket(socket)
    with services.comfy.prompts.sockets.connected(scope, client_id, connection):
        _greet(services, scope, client_id, connection)
        writing = asyncio.create_task(connection.write())
        try:
            await _read(services, socket, connection)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
    return socket


def _greet(services: Services, scope: Scope, client_id: str, connection: ClientSocket) -> None:
    """Send the first frames: the state of the queue with the client's id, and the node of it that runs."""
    status = services.comfy.prompts.status(scope)
    connection.send(TextFrame(status.type, {**status.data, "sid": client_id}))
    for prompt in services.comfy.prompts.of(scope).unfinished():
        if prompt.job.request.client_id == client_id and prompt.frames is not None:
            executing = prompt.frames.executing()
            if executing is not None:
                connection.send(executing)
    services.comfy.prompts.follow_all(scope, client_id)


async def _read(services: Services, socket: web.WebSocketResponse, connection: ClientSocket) -> None:
    """Read messages until the client disconnects. Its first one may name its features."""
    is_first = True
    with suppress(ConnectionError):
        async for message in socket:
            value = _json_object(message.data) if message.type is WSMsgType.TEXT else None
            if value is None:
                continue
            if is_first and value.get("type") == "feature_flags" and isinstance(value.get("data"), dict):
                connection.supports_metadata = bool(value["data"].get("supports_preview_metadata"))
                connection.send(TextFrame("feature_flags", features_of(services)))
            is_first = False


def _json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a message, or None for another message."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
