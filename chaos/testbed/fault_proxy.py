"""An HTTP relay in front of a server that garbles its answers on demand: another shape, half, slowly, or none at all.

    async with FaultProxy(engine.url) as relay:      # the worker's WORKER_COMFYUI is relay.url
        relay.garble("/queue", Status(500))            # from now on, for every answer on paths that begin so
        relay.garble("/ws", lambda frame: ...)         # frames: bytes or text in, one or none out
        relay.heal()

It stands in front of ComfyUI, of a bucket or of Vast's autoscaler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

import aiohttp
import orjson
from aiohttp import web

PAGE = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"
HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "content-encoding"})
Frame = str | bytes
ChangedFrame = Callable[[Frame], Frame | None]


@dataclass(frozen=True, slots=True)
class Original:
    """What the server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Garbled(Protocol):
    """One way to spoil an answer."""

    async def __call__(self, request: web.Request, original: Original) -> web.StreamResponse:
        """Send something in its place."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The body made another one by `change`; status and headers stay unless others are given."""

    change: Callable[[bytes], bytes]
    status: int | None = None
    headers: Mapping[str, str] | None = None

    async def __call__(self, request: web.Request, original: Original) -> web.StreamResponse:
        body, headers = self.change(original.body), {**original.headers, **(self.headers or {})}
        return web.Response(body=body, status=self.status or original.status, headers=headers)


def swapped_json(change: Callable[[Any], Any]) -> Changed:
    """Another JSON value in place of the one that was answered."""
    return Changed(lambda body: orjson.dumps(change(orjson.loads(body))))


def other_body(body: bytes, kind: str = "application/json", status: int | None = None) -> Changed:
    """A body that has nothing to do with the question."""
    return Changed(lambda _: body, status, {"Content-Type": kind})


def redirect(to: str) -> Changed:
    return Changed(lambda _: b"", 302, {"Location": to})


@dataclass(frozen=True, slots=True)
class InPieces:
    """A byte at a time, with a pause after each; `most` bytes, and then the rest."""

    pause_s: float = 0.0
    most: int = 4096

    async def __call__(self, request: web.Request, original: Original) -> web.StreamResponse:
        response = web.StreamResponse(status=original.status, headers=original.headers)
        await response.prepare(request)
        with suppress(ConnectionError):
            for place in range(min(self.most, len(original.body))):
                await response.write(original.body[place : place + 1])
                await asyncio.sleep(self.pause_s)
            await response.write(original.body[self.most :])
            await response.write_eof()
        return response


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after a part of the body that was announced."""

    part: float = 0.5

    async def __call__(self, request: web.Request, original: Original) -> web.StreamResponse:
        response = web.StreamResponse(status=original.status, headers=original.headers)
        response.content_length = len(original.body) + 1
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(original.body[: int(len(original.body) * self.part)])
        if request.transport is not None:
            request.transport.close()
        return response


@dataclass(frozen=True, slots=True)
class Endless:
    """A body that has no end, `piece` again and again; `pause_s` after each."""

    piece: bytes = b" " * 65536
    pause_s: float = 0.0

    async def __call__(self, request: web.Request, original: Original) -> web.StreamResponse:
        response = web.StreamResponse(status=original.status, headers=original.headers)
        await response.prepare(request)
        with suppress(ConnectionError):
            while request.transport is not None and not request.transport.is_closing():
                await response.write(self.piece)
                await asyncio.sleep(self.pause_s)
        return response


KINDS: Mapping[str, Garbled] = {
    "null": other_body(b"null"),
    "list": other_body(b"[]"),
    "object": other_body(b"{}"),
    "text": other_body(b'"ok"'),
    "number": other_body(b"1e308"),
    "deep": other_body(b"[" * 2000 + b"]" * 2000),
    "long number": other_body(b'{"a": ' + b"9" * 5000 + b"}"),
    "empty": other_body(b""),
    "no JSON": other_body(b"{]"),
    "no UTF-8": other_body(b'{"\xff": 1}'),
    "page": other_body(PAGE, "text/html"),
    "page of a proxy": other_body(PAGE, "text/html", 502),
    "another type": Changed(lambda body: body, headers={"Content-Type": "image/png"}),
    "lying encoding": Changed(lambda body: body, headers={"Content-Encoding": "gzip"}),
    "unauthorized": other_body(b"{}", status=401),
    "not found": other_body(b"{}", status=404),
    "teapot": other_body(b"{}", status=418),
    "error": other_body(b'{"error": "no"}', status=500),
    "nothing to say": Changed(lambda _: b"", 204),
    "redirect to itself": redirect("?"),
    "redirect to nobody": redirect("http://127.0.0.1:9/"),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect without a place": redirect(""),
    "cut": Cut(),
    "cut before the body": Cut(0.0),
    "in pieces": InPieces(),
}
"""Ways to spoil one answer, none of which takes longer than the answer itself."""


class FaultProxy:
    """Forwards everything unchanged until it is told to garble. `garbled` counts the changed answers."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.garbled = 0
        self._target = target
        self._answers: dict[str, Garbled] = {}
        self._frames: ChangedFrame | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._relay)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._http.close()

    def garble(self, path: str, how: Garbled) -> None:
        """Spoil each answer to a path that begins so."""
        self._answers[path] = how

    def garble_frames(self, change: ChangedFrame) -> None:
        """Send what `change` makes of each frame of the server's; nothing where that is None."""
        self._frames = change

    def heal(self) -> None:
        self._answers.clear()
        self._frames = None

    async def say(self, frame: Frame) -> None:
        """Send a frame of one's own over every open WebSocket."""
        for socket in list(self._sockets):
            with suppress(ConnectionError):
                await _send(socket, frame)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        url, body = self._target + request.raw_path, await request.read()
        async with self._http.request(request.method, url, data=body, headers=headers, allow_redirects=False) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            original = Original(answer.status, kept, await answer.read())
        how = next((how for path, how in self._answers.items() if request.path.startswith(path)), None)
        if how is None:
            return web.Response(body=original.body, status=original.status, headers=original.headers)
        self.garbled += 1
        return await how(request, original)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        near = web.WebSocketResponse(max_msg_size=0)
        async with self._http.ws_connect(self._target + request.raw_path, max_msg_size=0) as far:
            await near.prepare(request)
            self._sockets.add(near)
            try:
                backwards = asyncio.create_task(_copy(near, far))
                async for frame in far:
                    if frame.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                        await self._pass(near, frame.data)
                backwards.cancel()
            finally:
                self._sockets.discard(near)
        return near

    async def _pass(self, near: web.WebSocketResponse, frame: Frame) -> None:
        changed = self._frames(frame) if self._frames else frame
        self.garbled += changed != frame
        if changed is not None:
            await _send(near, changed)


async def _send(socket: web.WebSocketResponse, frame: Frame) -> None:
    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))


async def _copy(source: web.WebSocketResponse, target: aiohttp.ClientWebSocketResponse) -> None:
    async for frame in source:
        if frame.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(frame.data)
        elif frame.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(frame.data)
    await target.close()
