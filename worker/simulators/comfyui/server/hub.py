"""Who hears what: the WebSocket clients, and the one line in which all frames leave in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import ClientError, WSMsgType, web

from worker.simulators.comfyui.server.responses import dumps

logger = logging.getLogger(__name__)

STALLED_AFTER_S = 30.0
"""A client that reads nothing for so long is dropped, so that frames don't pile up (ComfyUI waits for ever)."""


@dataclass(frozen=True, slots=True)
class HubClient:
    """A client's socket, and the connection below it, which alone can be dropped at once."""

    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `to` None goes to every client."""

    payload: bytes
    type: WSMsgType
    to: str | None


class Hub:
    """The clients by id. `send` and `send_binary` may be called from any thread; the rest belongs to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._listeners: dict[str, HubClient] = {}
        self._flags: dict[str, Mapping[str, object]] = {}

    def connect(self, client_id: str, listener: HubClient) -> None:
        """Deliver to this listener from now on, in place of an earlier one of the same client."""
        self._listeners[client_id] = listener
        self._flags[client_id] = {}

    def disconnect(self, client_id: str) -> None:
        """Forget the client, even if a newer socket took its id meanwhile: that one then stays open and deaf.

        ComfyUI does the same (recording 13, case c), and clients have to cope with it.
        """
        self._listeners.pop(client_id, None)
        self._flags.pop(client_id, None)

    def abort_all(self) -> None:
        """Break every WebSocket off, as a failing network does. From any thread."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def forget_all(self) -> None:
        """Forget every client, though their sockets stay open. From any thread."""
        self._loop.call_soon_threadsafe(self._listeners.clear)

    def set_flags(self, client_id: str, flags: Mapping[str, object]) -> None:
        """Remember what the client said it can do."""
        self._flags[client_id] = flags

    def supports(self, client_id: str | None, flag: str) -> bool:
        return client_id is not None and self._flags.get(client_id, {}).get(flag) is True

    def has_listener(self, to: str | None) -> bool:
        """Whether a frame to this client (None: to all) would reach anybody."""
        return bool(self._listeners) if to is None else to in self._listeners

    def send(self, event: str, data: Mapping[str, object], to: str | None = None) -> None:
        """Queue a text frame `{"type", "data"}`; a client without a socket misses it."""
        if self.has_listener(to):
            payload = dumps({"type": event, "data": data})
            self._post(Frame(payload, WSMsgType.TEXT, to))

    def send_binary(self, payload: bytes, to: str | None = None) -> None:
        if self.has_listener(to):
            self._post(Frame(payload, WSMsgType.BINARY, to))

    async def send_immediately(self, event: str, data: Mapping[str, object], to: str) -> None:
        """Send past the line: what a client is told as an answer to itself (`status` on connecting, its flags)."""
        payload = dumps({"type": event, "data": data})
        await self._deliver(Frame(payload, WSMsgType.TEXT, to))

    async def publish(self) -> None:
        """Send queued frames, one after the other, until cancelled."""
        while True:
            await self._deliver(await self._frames.get())

    def _abort_all(self) -> None:
        for listener in list(self._listeners.values()):
            _abort(listener)

    def _post(self, frame: Frame) -> None:
        # After the loop has closed there is nobody left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._frames.put_nowait, frame)

    async def _deliver(self, frame: Frame) -> None:
        if frame.to is None:
            listeners = list(self._listeners.values())
        else:
            listener = self._listeners.get(frame.to)
            listeners = [] if listener is None else [listener]
        for listener in listeners:
            await _send(listener, frame)


async def _send(listener: HubClient, frame: Frame) -> None:
    try:
        async with asyncio.timeout(STALLED_AFTER_S):
            await listener.socket.send_frame(frame.payload, frame.type)
    except TimeoutError:
        logger.warning("A WebSocket client reads nothing; dropped.")
        _abort(listener)
    except (ClientError, ConnectionError, RuntimeError):
        # The client is gone or going; its handler does the rest.
        logger.debug("A frame for a closed WebSocket was dropped.")


def _abort(listener: HubClient) -> None:
    if isinstance(listener.transport, asyncio.WriteTransport):
        listener.transport.abort()
