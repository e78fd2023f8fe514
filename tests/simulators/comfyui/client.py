"""A plain ComfyUI client that keeps what it hears, and a few small prompts."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

Graph = dict[str, dict[str, Any]]


@dataclass
class Socket:
    """A WebSocket client that keeps all frames it has read; binary ones as bytes."""

    raw: aiohttp.ClientWebSocketResponse
    frames: list[Any] = field(default_factory=list)

    async def read(self) -> Any:
        message = await self.raw.receive(timeout=8)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        frame = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message.data
        self.frames.append(frame)
        return frame

    async def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Read until a frame is wanted; return it and all before it since the last call."""
        start = len(self.frames)
        while not wanted(await self.read()):
            pass
        return self.frames[start:]

    async def until_over(self, prompt_id: str) -> list[Any]:
        return await self.until(
            lambda frame: is_event(frame, "executing") and frame["data"] == {"node": None, "prompt_id": prompt_id}
        )

    async def silent(self, seconds: float = 0.2) -> bool:
        try:
            await self.raw.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False


def is_event(frame: Any, event: str) -> bool:
    return isinstance(frame, dict) and frame["type"] == event


def order(frames: list[Any]) -> list[str]:
    """The frames in short: `progress_state`, `executing:3`, `BIN4` ..."""
    return [_short(frame) for frame in frames]


def _short(frame: Any) -> str:
    if isinstance(frame, bytes):
        return f"BIN{int.from_bytes(frame[:4], 'big')}"
    kind = frame["type"]
    return f"{kind}:{frame['data']['node']}" if kind in ("executing", "executed") else str(kind)


class Client:
    """Talks to one engine as a ComfyUI client does."""

    def __init__(self, url: str, base: Path) -> None:
        self.url = url
        self.base = base
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Client:
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession(self.url))
        return self

    async def __aexit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._stack.aclose()

    async def listen(self, client_id: str | None = "A", *, modern: bool = False) -> Socket:
        """Open a WebSocket and read its greeting; `modern` announces preview metadata."""
        query = "" if client_id is None else f"?clientId={client_id}"
        socket = Socket(await self._stack.enter_async_context(self.http.ws_connect(f"/ws{query}")))
        await socket.read()
        if modern:
            await socket.raw.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            await socket.until(lambda frame: is_event(frame, "feature_flags"))
        return socket

    async def get(self, path: str, **options: Any) -> Any:
        async with self.http.get(path, **options) as answer:
            return json.loads(await answer.read())

    async def status(self, method: str, path: str, **options: Any) -> int:
        async with self.http.request(method, path, **options) as answer:
            return answer.status

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.post(path, **options) as answer:
            body = await answer.read()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            return answer.status, json.loads(body) if is_json else body

    async def submit(self, graph: Graph, client_id: str | None = "A", **more: Any) -> str:
        """Post a prompt that must be accepted; return its id."""
        body = {"prompt": graph, "prompt_id": str(uuid.uuid4())} | more
        status, answer = await self.post("/prompt", json=body if client_id is None else body | {"client_id": client_id})
        assert status == 200, answer
        return str(answer["prompt_id"])

    async def start(self, graph: Graph, **more: Any) -> str:
        """Submit, and wait until it runs."""
        prompt_id = await self.submit(graph, **more)
        while prompt_id not in [item[1] for item in (await self.get("/queue"))["queue_running"]]:
            await asyncio.sleep(0.01)
        return prompt_id

    async def run(self, graph: Graph, **more: Any) -> Any:
        """Run a prompt to its end; return its history entry."""
        socket = await self.listen(client_id := uuid.uuid4().hex)
        prompt_id = await self.submit(graph, client_id, **more)
        await socket.until_over(prompt_id)
        await socket.raw.close()
        return (await self.get(f"/history/{prompt_id}"))[prompt_id]


def picture(color: int = 0, prefix: str = "t", size: int = 64, batch: int = 1) -> Graph:
    """EmptyImage -> SaveImage."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": size, "height": size, "batch_size": batch, "color": color},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def slow(seconds: float = 5.0, steps: int = 0, color: int = 0) -> Graph:
    """EmptyImage -> EmbeddedSleep -> SaveImage."""
    graph = picture(color, "slow")
    inputs = {"image": ["1", 0], "seconds": seconds, "steps": steps}
    graph["s"] = {"class_type": "EmbeddedSleep", "inputs": inputs}
    graph["2"]["inputs"]["images"] = ["s", 0]
    return graph
