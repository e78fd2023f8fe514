"""An HTTP proxy that corrupts the responses of a server on demand: other content, half of it, slowly, or nothing.

    async with FaultProxy(engine.url) as proxy:        # the worker's WORKER_COMFYUI is proxy.url
        proxy.garble("/queue", other_body(b"[]"))      # from now on, every response on paths with this prefix
        proxy.garble_frames(lambda frame: ...)         # WebSocket frames: bytes or str in, one or None out
        proxy.heal()                                   # forward everything unchanged again

It works in front of ComfyUI, of a bucket and of Vast's autoscaler.
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
HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "content-encoding"})
Frame = str | bytes
ChangedFrame = Callable[[Frame], Frame | None]


@dataclass(frozen=True, slots=True)
class OriginalResponse:
    """The server's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ResponseFault(Protocol):
    """A function that replaces a response."""

    async def __call__(self, request: web.Request, original: OriginalResponse) -> web.StreamResponse:
        """Return or send the replacement."""


@dataclass(frozen=True, slots=True)
class ChangedResponse:
    """A response whose body is the result of `change`. `status` and `headers` replace those of the original."""

    change: Callable[[bytes], bytes]
    status: int | None = None
    headers: Mapping[str, str] | None = None

    async def __call__(self, request: web.Request, original: OriginalResponse) -> web.StreamResponse:
        """Return the changed response."""
        body, headers = self.change(original.body), {**original.headers, **(self.headers or {})}
        return web.Response(body=body, status=self.status or original.status, headers=headers)


def swapped_json(change: Callable[[Any], Any]) -> ChangedResponse:
    """Return a fault that replaces the JSON value of a response by the result of `change`."""
    return ChangedResponse(lambda body: orjson.dumps(change(orjson.loads(body))))


def other_body(body: bytes, kind: str = "application/json", status: int | None = None) -> ChangedResponse:
    """Return a fault that replaces the body by an unrelated one."""
    return ChangedResponse(lambda _: body, status, {"Content-Type": kind})


def redirect(to: str) -> ChangedResponse:
    """Return a fault that redirects to another URL."""
    return ChangedResponse(lambda _: b"", 302, {"Location": to})


@dataclass(frozen=True, slots=True)
class SlowResponse:
    """A response that sends its first `max_bytes` one by one, with a pause after each, and then the remaining bytes."""

    pause_s: float = 0.0
    max_bytes: int = 4096

    async def __call__(self, request: web.Request, original: OriginalResponse) -> web.StreamResponse:
        """Send the response slowly."""
        response = web.StreamResponse(status=original.status, headers=original.headers)
        await response.prepare(request)
        with suppress(ConnectionError):
            for index in range(min(self.max_bytes, len(original.body))):
                await response.write(original.body[index : index + 1])
                await asyncio.sleep(self.pause_s)
            await response.write(original.body[self.max_bytes :])
            await response.write_eof()
        return response


@dataclass(frozen=True, slots=True)
class TruncatedResponse:
    """A response whose connection is closed after a fraction of the announced body."""

    fraction: float = 0.5

    async def __call__(self, request: web.Request, original: OriginalResponse) -> web.StreamResponse:
        """Send a part of the body and close the connection."""
        response = web.StreamResponse(status=original.status, headers=original.headers)
        response.content_length = len(original.body) + 1
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(original.body[: int(len(original.body) * self.fraction)])
        if request.transport is not None:
            request.transport.close()
        return response


@dataclass(frozen=True, slots=True)
class EndlessResponse:
    """A response whose body never ends. It repeats `piece` with a pause after each."""

    piece: bytes = b" " * 65536
    pause_s: float = 0.0

    async def __call__(self, request: web.Request, original: OriginalResponse) -> web.StreamResponse:
        """Send the body until the client closes the connection."""
        response = web.StreamResponse(status=original.status, headers=original.headers)
        await response.prepare(request)
        with suppress(ConnectionError):
            while request.transport is not None and not request.transport.is_closing():
                await response.write(self.piece)
                await asyncio.sleep(self.pause_s)
        return response


KINDS: Mapping[str, ResponseFault] = {
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
    "another type": ChangedResponse(lambda body: body, headers={"Content-Type": "image/png"}),
    "lying encoding": ChangedResponse(lambda body: body, headers={"Content-Encoding": "gzip"}),
    "unauthorized": other_body(b"{}", status=401),
    "not found": other_body(b"{}", status=404),
    "teapot": other_body(b"{}", status=418),
    "error": other_body(b'{"error": "no"}', status=500),
    "no content": ChangedResponse(lambda _: b"", 204),
    "redirect to itself": redirect("?"),
    "redirect to a closed port": redirect("http://127.0.0.1:9/"),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect without a location": redirect(""),
    "cut": TruncatedResponse(),
    "cut before the body": TruncatedResponse(0.0),
    "in pieces": SlowResponse(),
}
"""Faults by name. None of them takes longer than the original response."""


class FaultProxy:
    """An HTTP proxy on loopback. It forwards everything unchanged until a fault is set.

    `garbled` counts the responses and frames that were changed.
    """

    def __init__(self, target: str) -> None:
        self.url = ""
        self.garbled = 0
        self._target = target
        self._faults: dict[str, ResponseFault] = {}
        self._change_frame: ChangedFrame | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._http.close()

    def garble(self, path: str, fault: ResponseFault) -> None:
        """Apply a fault to every response on paths with this prefix."""
        self._faults[path] = fault

    def garble_frames(self, change: ChangedFrame) -> None:
        """Replace each frame of the server by the result of `change`. None drops the frame."""
        self._change_frame = change

    def heal(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self._change_frame = None

    async def send_frame(self, frame: Frame) -> None:
        """Send a frame to the clients of all open WebSockets."""
        for socket in list(self._sockets):
            with suppress(ConnectionError):
                await _send(socket, frame)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        """Forward a request and return the response, or its replacement."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._forward_websocket(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url, body = self._target + request.raw_path, await request.read()
        async with self._http.request(
            request.method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            kept_headers = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
            original = OriginalResponse(response.status, kept_headers, await response.read())
        fault = next((fault for path, fault in self._faults.items() if request.path.startswith(path)), None)
        if fault is None:
            return web.Response(body=original.body, status=original.status, headers=original.headers)
        self.garbled += 1
        return await fault(request, original)

    async def _forward_websocket(self, request: web.Request) -> web.StreamResponse:
        """Forward the frames of a WebSocket in both directions."""
        client_socket = web.WebSocketResponse(max_msg_size=0)
        async with self._http.ws_connect(self._target + request.raw_path, max_msg_size=0) as server_socket:
            await client_socket.prepare(request)
            self._sockets.add(client_socket)
            try:
                to_server = asyncio.create_task(_copy_frames(client_socket, server_socket))
                async for frame in server_socket:
                    if frame.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                        await self._forward_frame(client_socket, frame.data)
                to_server.cancel()
            finally:
                self._sockets.discard(client_socket)
        return client_socket

    async def _forward_frame(self, client_socket: web.WebSocketResponse, frame: Frame) -> None:
        """Send a frame of the server to the client, changed if a change is set."""
        changed = self._change_frame(frame) if self._change_frame else frame
        self.garbled += changed != frame
        if changed is not None:
            await _send(client_socket, changed)


async def _send(socket: web.WebSocketResponse, frame: Frame) -> None:
    """Send a text or binary frame."""
    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))


async def _copy_frames(source: web.WebSocketResponse, target: aiohttp.ClientWebSocketResponse) -> None:
    """Forward frames from a client to the server until the client closes."""
    async for frame in source:
        if frame.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(frame.data)
        elif frame.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(frame.data)
    await target.close()
