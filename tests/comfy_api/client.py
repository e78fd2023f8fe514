"""A client of ComfyUI's API like its own examples: it listens, posts a prompt and reads the history."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.conftest import bearer


@dataclass
class ComfyClient:
    """One client of a server. `url` is that of ComfyUI or of a worker."""

    http: aiohttp.ClientSession
    url: str
    token: str = ""
    client_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path, params=query, headers=bearer(self.token)) as answer:
            return answer.status, await _content(answer)

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        async with self.http.post(self.url + path, json=body, headers=bearer(self.token)) as answer:
            return answer.status, await _content(answer)

    async def upload(self, data: bytes, name: str, route: str = "image", **fields: str) -> tuple[int, Any]:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", data, filename=name)
        for key, value in fields.items():
            form.add_field(key, value)
        url = f"{self.url}/upload/{route}"
        async with self.http.post(url, data=form, headers=bearer(self.token)) as answer:
            return answer.status, await _content(answer)

    async def submit(self, prompt: Mapping[str, Any], **fields: Any) -> str:
        """Post a prompt and return its id."""
        status, body = await self.post("/prompt", {"prompt": prompt, "client_id": self.client_id, **fields})
        assert status == 200, body
        return body["prompt_id"]

    async def ended(self, prompt_id: str) -> dict[str, Any]:
        """Wait for the entry of a prompt in the history."""
        async with asyncio.timeout(60):
            while True:
                _, history = await self.get(f"/history/{prompt_id}")
                if prompt_id in history:
                    return history[prompt_id]
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def listening(self, **features: bool) -> AsyncIterator[Frames]:
        """Open a WebSocket. `features` are those of the handshake, which an old client does not send."""
        url = f"{self.url}/ws?clientId={self.client_id}"
        async with self.http.ws_connect(url, headers=bearer(self.token), max_msg_size=0) as socket:
            frames = Frames(socket)
            await frames.until("status")
            if features:
                await socket.send_json({"type": "feature_flags", "data": features})
                await frames.until("feature_flags")
            yield frames


@dataclass
class Frames:
    """The frames of one connection. `all` has those that were read: objects, and bytes."""

    socket: aiohttp.ClientWebSocketResponse
    all: list[Any] = field(default_factory=list)

    async def next(self) -> Any:
        async with asyncio.timeout(60):
            message = await self.socket.receive()
        assert message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}, message
        self.all.append(message.json() if message.type is aiohttp.WSMsgType.TEXT else message.data)
        return self.all[-1]

    async def until(self, kind: str, **data: Any) -> dict[str, Any]:
        """Read up to a frame of this type with these values."""
        while True:
            frame = await self.next()
            if isinstance(frame, dict) and frame["type"] == kind and data.items() <= frame["data"].items():
                return frame["data"]

    async def of_prompt(self, prompt_id: str) -> list[Any]:
        """Read up to the end of a prompt, and return its frames and the binary ones."""
        await self.until("executing", node=None, prompt_id=prompt_id)
        return [frame for frame in self.all if isinstance(frame, bytes) or frame["data"].get("prompt_id") == prompt_id]


async def _content(answer: aiohttp.ClientResponse) -> Any:
    return await answer.json() if answer.content_type == "application/json" else await answer.read()


def shape(value: Any) -> Any:
    """Return the form of a JSON value: its keys and the types of its values. Numbers are all alike."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
