"""A ComfyUI client that stores all frames, and a few small prompts."""

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
class FrameSocket:
    """One WebSocket of a client. `frames` has all frames read so far, binary ones as bytes."""

    raw: aiohttp.ClientWebSocketResponse
    frames: list[Any] = field(default_factory=list)

    async def read(self) -> Any:
        """Read one frame within 8 seconds."""
        message = await self.raw.receive(timeout=60)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        frame = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message.data
        self.frames.append(frame)
        return frame

    async def until(self, matches: Callable[[Any], bool]) -> list[Any]:
        """Read until a frame matches, and return all frames read since the call."""
        start = len(self.frames)
        while not matches(await self.read()):
            pass
        return self.frames[start:]

    async def until_ended(self, prompt_id: str) -> list[Any]:
        """Read until the prompt has ended, and return all frames read since the call."""
        return await self.until(
            lambda frame: is_event(frame, "executing") and frame["data"] == {"node": None, "prompt_id": prompt_id}
        )

    async def is_silent(self, seconds: float = 0.2) -> bool:
        """Return whether no frame arrives within this time."""
        try:
            await self.raw.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False


def is_event(frame: Any, event: str) -> bool:
    """Return whether a frame is the text frame of this event."""
    return isinstance(frame, dict) and frame["type"] == event


def order(frames: list[Any]) -> list[str]:
    """Return the frames in short: `progress_state`, `executing:3`, `BIN4`, ..."""
    return [_short(frame) for frame in frames]


def _short(frame: Any) -> str:
    if isinstance(frame, bytes):
        return f"BIN{int.from_bytes(frame[:4], 'big')}"
    kind = frame["type"]
    return f"{kind}:{frame['data']['node']}" if kind in ("executing", "executed") else str(kind)


class EngineClient:
    """A client of one engine, as a ComfyUI client."""

    def __init__(self, url: str, base: Path) -> None:
        self.url = url
        self.base = base
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> EngineClient:
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession(self.url))
        return self

    async def __aexit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._stack.aclose()

    async def listen(self, client_id: str | None = "A", *, modern: bool = False) -> FrameSocket:
        """Open a WebSocket and read its first frame. With `modern`, announce support for preview metadata."""
        query = "" if client_id is None else f"?clientId={client_id}"
        socket = FrameSocket(await self._stack.enter_async_context(self.http.ws_connect(f"/ws{query}")))
        await socket.read()
        if modern:
            await socket.raw.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            await socket.until(lambda frame: is_event(frame, "feature_flags"))
        return socket

    async def get(self, path: str, **options: Any) -> Any:
        """Return the JSON body of a GET request."""
        async with self.http.get(path, **options) as answer:
            return json.loads(await answer.read())

    async def status(self, method: str, path: str, **options: Any) -> int:
        """Return the status of a request."""
        async with self.http.request(method, path, **options) as answer:
            return answer.status

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        """Return the status and the body of a POST request. A JSON body is decoded."""
        async with self.http.post(path, **options) as answer:
            body = await answer.read()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            return answer.status, json.loads(body) if is_json else body

    async def submit(self, graph: Graph, client_id: str | None = "A", **more: Any) -> str:
        """Submit a prompt that must be accepted, and return its id."""
        body = {"prompt": graph, "prompt_id": str(uuid.uuid4())} | more
        status, answer = await self.post("/prompt", json=body if client_id is None else body | {"client_id": client_id})
        assert status == 200, answer
        return str(answer["prompt_id"])

    async def start(self, graph: Graph, **more: Any) -> str:
        """Submit a prompt, wait until it runs, and return its id."""
        prompt_id = await self.submit(graph, **more)
        while prompt_id not in [item[1] for item in (await self.get("/queue"))["queue_running"]]:
            await asyncio.sleep(0.01)
        return prompt_id

    async def inside(self, prompt_id: str) -> None:
        """Wait until the node that waits has begun, after the check for an interrupt before it."""
        async with asyncio.timeout(60):
            while f"EmbeddedSleep of the prompt {prompt_id} has begun" not in await self.get("/internal/logs"):
                await asyncio.sleep(0.01)

    async def run(self, graph: Graph, **more: Any) -> Any:
        """Run a prompt to its end, and return its history entry."""
        socket = await self.listen(client_id := uuid.uuid4().hex)
        prompt_id = await self.submit(graph, client_id, **more)
        await socket.until_ended(prompt_id)
        await socket.raw.close()
        return (await self.get(f"/history/{prompt_id}"))[prompt_id]


def picture(color: int = 0, prefix: str = "t", size: int = 64, batch: int = 1) -> Graph:
    """Return a prompt: EmptyImage, SaveImage."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": size, "height": size, "batch_size": batch, "color": color},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def slow(seconds: float = 5.0, steps: int = 0, color: int = 0) -> Graph:
    """Return a prompt: EmptyImage, EmbeddedSleep, SaveImage."""
    graph = picture(color, "slow")
    inputs = {"image": ["1", 0], "seconds": seconds, "steps": steps}
    graph["s"] = {"class_type": "EmbeddedSleep", "inputs": inputs}
    graph["2"]["inputs"]["images"] = ["s", 0]
    return graph
