"""The WebSocket route: the first `status`, and the exchange of feature flags. Later messages are ignored."""

from __future__ import annotations

import uuid

import orjson
from aiohttp import WSMsgType, web

from worker.simulators.comfyui.engine import ENGINE, EmbeddedEngine
from worker.simulators.comfyui.routes.features import FEATURES
from worker.simulators.comfyui.server.hub import HubClient


def routes() -> list[web.RouteDef]:
    return [web.get("/ws", listen)]


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Serve one client until it disconnects. Its id is `clientId`, or a new one, which the first `status` contains."""
    engine = request.app[ENGINE]
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    client_id = request.query.get("clientId") or uuid.uuid4().hex
    engine.hub.connect(client_id, HubClient(socket, request.transport))
    try:
        await _send_first_frames(engine, client_id)
        await _read_messages(engine, client_id, socket)
    finally:
        engine.hub.disconnect(client_id)
    return socket


async def _send_first_frames(engine: EmbeddedEngine, client_id: str) -> None:
    """Send `status`, and `executing` when a prompt of this client runs."""
    info = {"exec_info": {"queue_remaining": engine.queue.remaining()}}
    await engine.hub.send_immediately("status", {"status": info, "sid": client_id}, client_id)
    node_id = engine.executor.current_node
    if engine.executor.client_id == client_id and node_id is not None:
        # The owner of the running prompt reconnected. As in ComfyUI, the frame does not name the prompt, and missed
        # frames are not sent again.
        await engine.hub.send_immediately("executing", {"node": node_id}, client_id)


async def _read_messages(engine: EmbeddedEngine, client_id: str, socket: web.WebSocketResponse) -> None:
    """Read messages until the client disconnects.

    The first JSON object may announce the client's feature flags. They are stored, and the server's are sent back.
    """
    is_first_object = True
    async for message in socket:
        if not is_first_object or message.type is not WSMsgType.TEXT:
            continue
        try:
            content = orjson.loads(message.data)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(content, dict):
            continue
        is_first_object = False
        if content.get("type") == "feature_flags":
            flags = content.get("data", {})
            engine.hub.set_flags(client_id, flags if isinstance(flags, dict) else {})
            await engine.hub.send_immediately("feature_flags", FEATURES, client_id)
