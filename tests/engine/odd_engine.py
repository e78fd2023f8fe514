"""An engine behind a relay that sends malformed responses where a test requests it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.engines import EngineHandle


@dataclass
class OddEngine:
    """`answers` are the bodies that replace the next responses, by the first part of the path. Each is used once."""

    target: str
    http: aiohttp.ClientSession
    url: str = ""
    answers: dict[str, list[object]] = field(default_factory=dict)
    frames: list[object] = field(default_factory=list)
    """Frames that the next opened WebSocket sends first."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    async def relay(self, request: web.Request) -> web.StreamResponse:
        odd = self.answers.get("/" + request.path.split("/")[1])
        if odd:
            return web.json_response(odd.pop(0))
        if request.path == "/ws":
            return await self._socket(request)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = self.target + request.path_qs
        async with self.http.request(request.method, url, data=body, headers=headers) as answer:
            kind = answer.headers.get("Content-Type", "application/json")
            return web.Response(body=await answer.read(), status=answer.status, headers={"Content-Type": kind})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        near = web.WebSocketResponse(max_msg_size=0)
        await near.prepare(request)
        self.sockets.append(near)
        async with self.http.ws_connect(self.target + request.path_qs, max_msg_size=0) as far:
            backwards = asyncio.create_task(_copy(near, far))
            await _copy(far, near)
            backwards.cancel()
        return near

    async def send(self, frame: object) -> None:
        """Send a frame over every open WebSocket."""
        for socket in self.sockets:
            if not socket.closed:
                await socket.send_str(json.dumps(frame))


async def _copy(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for frame in source:
        if frame.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(frame.data)
        elif frame.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(frame.data)


@asynccontextmanager
async def odd_engine(engine: EngineHandle) -> AsyncIterator[OddEngine]:
    async with aiohttp.ClientSession() as http:
        odd = OddEngine(engine.url, http)
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", odd.relay)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            odd.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield odd
        finally:
            await runner.cleanup()
