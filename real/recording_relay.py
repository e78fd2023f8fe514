"""A relay between worker and embedded engine that records what passes, as the node pack does inside a real ComfyUI."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any, Self

import aiohttp
import orjson
from aiohttp import web
from PIL import Image

from real.recorder import EventRecorder

PREVIEW, PREVIEW_WITH_METADATA = 1, 4
PNG = 2
HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-encoding", "content-length", "host", "upgrade"})


class RecordingRelay:
    """Serves at `url` what the engine at `engine` answers."""

    def __init__(self, engine: str, recorder: EventRecorder) -> None:
        self.url = ""
        self._engine = engine
        self._recorder = recorder
        self._prompts: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = self._engine + request.raw_path
        if request.method == "POST" and request.path.endswith("/prompt"):
            self._keep(body)
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if "Content-Encoding" in answer.headers:
                kept["Content-Encoding"] = answer.headers["Content-Encoding"]
            return web.Response(status=answer.status, body=content, headers=kept)

    def _keep(self, body: bytes) -> None:
        sent = orjson.loads(body)
        self._prompts[sent.get("prompt_id", "")] = sent["prompt"]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        async with self._session.ws_connect(self._engine + request.raw_path, max_msg_size=0) as engine:
            forth = asyncio.create_task(_pass_on(client, engine))
            async for message in engine:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._text(message.data)
                    await client.send_str(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._binary(message.data)
                    await client.send_bytes(message.data)
            forth.cancel()
        await client.close()
        return client

    def _text(self, text: str) -> None:
        message = orjson.loads(text)
        name, data = message["type"], message["data"]
        if name == "execution_start":
            prompt = self._prompts.get(data["prompt_id"])
            self._recorder.write({"event": "prompt", "data": {"prompts": [prompt] if prompt else []}})
        self._recorder.event(name, data)

    def _binary(self, frame: bytes) -> None:
        kind, rest = struct.unpack_from(">I", frame)[0], frame[4:]
        if kind == PREVIEW and struct.unpack_from(">I", rest)[0] == PNG:
            self._picture(rest[4:])
        elif kind == PREVIEW_WITH_METADATA:
            length = struct.unpack_from(">I", rest)[0]
            if orjson.loads(rest[4 : 4 + length]).get("image_type") == "image/png":
                self._picture(rest[4 + length :])

    def _picture(self, content: bytes) -> None:
        with Image.open(io.BytesIO(content)) as picture:
            self._recorder.picture(picture.size, picture.mode, picture.tobytes())


async def _pass_on(client: web.WebSocketResponse, engine: aiohttp.ClientWebSocketResponse) -> None:
    """What the worker sends; where it leaves, the engine hears of it."""
    async for message in client:
        if message.type is aiohttp.WSMsgType.TEXT:
            await engine.send_str(message.data)
    await engine.close()
