"""A relay between worker and embedded engine. It records events as the node pack does inside a real ComfyUI."""

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
    """Forwards requests at `url` to the engine, and records its events with the recorder."""

    def __init__(self, engine: str, recorder: EventRecorder) -> None:
        self.url = ""
        self._engine = engine
        self._recorder = recorder
        self._prompts: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Forward one request, and return the engine's response."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._relay_websocket(request)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = self._engine + request.raw_path
        if request.method == "POST" and request.path.endswith("/prompt"):
            self._store_prompt(body)
        async with self._session.request(request.method, url, data=body, headers=headers) as response:
            content = await response.read()
            forwarded = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
            if "Content-Encoding" in response.headers:
                forwarded["Content-Encoding"] = response.headers["Content-Encoding"]
            return web.Response(status=response.status, body=content, headers=forwarded)

    def _store_prompt(self, body: bytes) -> None:
        """Store the prompt of a request by its id, until its start is recorded."""
        submission = orjson.loads(body)
        self._prompts[submission.get("prompt_id", "")] = submission["prompt"]

    async def _relay_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Forward a WebSocket in both directions, and record the engine's frames."""
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        async with self._session.ws_connect(self._engine + request.raw_path, max_msg_size=0) as engine:
            to_engine = asyncio.create_task(_forward(client, engine))
            async for message in engine:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._record_event(message.data)
                    await client.send_str(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._record_image(message.data)
                    await client.send_bytes(message.data)
            to_engine.cancel()
        await client.close()
        return client

    def _record_event(self, text: str) -> None:
        """Record a text frame. The start of a prompt is recorded with the prompt."""
        message = orjson.loads(text)
        name, data = message["type"], message["data"]
        if name == "execution_start":
            prompt = self._prompts.get(data["prompt_id"])
            self._recorder.write({"event": "prompt", "data": {"prompts": [prompt] if prompt else []}})
        self._recorder.event(name, data)

    def _record_image(self, frame: bytes) -> None:
        """Record the image of a binary frame if it is a PNG. JPEG frames are sampler previews."""
        event, data = struct.unpack_from(">I", frame)[0], frame[4:]
        if event == PREVIEW and struct.unpack_from(">I", data)[0] == PNG:
            self._record_pixels(data[4:])
        elif event == PREVIEW_WITH_METADATA:
            length = struct.unpack_from(">I", data)[0]
            if orjson.loads(data[4 : 4 + length]).get("image_type") == "image/png":
                self._record_pixels(data[4 + length :])

    def _record_pixels(self, content: bytes) -> None:
        """Record an image file by its pixels."""
        with Image.open(io.BytesIO(content)) as image:
            self._recorder.image(image.size, image.mode, image.tobytes())


async def _forward(client: web.WebSocketResponse, engine: aiohttp.ClientWebSocketResponse) -> None:
    """Forward the worker's messages to the engine, and close the engine's WebSocket when the worker disconnects."""
    async for message in client:
        if message.type is aiohttp.WSMsgType.TEXT:
            await engine.send_str(message.data)
    await engine.close()
