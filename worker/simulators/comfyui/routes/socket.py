"""The WebSocket: greeting, the one handshake, and silence from then on."""

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
    """Serve one client until it leaves. Its id is `clientId`, or one that the first `status` tells it."""
    engine = request.app[ENGINE]
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    client_id = request.query.get("clientId") or uuid.uuid4().hex
    engine.hub.connect(client_id, HubClient(socket, request.transport))
    try:
        await _greet(engine, client_id)
        await _read(engine, client_id, socket)
    finally:
        engine.hub.disconnect(client_id)
    return socket


async def _greet(engine: EmbeddedEngine, client_id: str) -> None:
    info = {"exec_info": {"queue_remaining": engine.queue.remaining()}}
    await engine.hub.send_immediately("status", {"status": info, "sid": client_id}, client_id)
    node_id = engine.executor.current_node
    if engine.executor.client_id == client_id and node_id is not None:
        # The owner of the running prompt came back; it isn't told which prompt, and missed frames are not repeated.
        await engine.hub.send_immediately("executing", {"node": node_id}, client_id)


async def _read(engine: EmbeddedEngine, client_id: str, socket: web.WebSocketResponse) -> None:
    """Feature flags count only in the first JSON object; what isn't one is skipped."""
    first = True
    async for message in socket:
        if not first or message.type is not WSMsgType.TEXT:
            continue
        try:
            said = orjson.loads(message.data)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(said, dict):
            continue
        first = False
        if said.get("type") == "feature_flags":
            flags = said.get("data", {})
            engine.hub.set_flags(client_id, flags if isinstance(flags, dict) else {})
            await engine.hub.send_immediately("feature_flags", FEATURES, client_id)
