"""The connected WebSocket clients, and the one queue through which all frames are sent in order."""

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
"""Seconds after which a client that reads nothing is disconnected, so that frames do not accumulate.

A real ComfyUI waits without limit.
"""


@dataclass(frozen=True, slots=True)
class HubClient:
    """A client's WebSocket and its transport. Only the transport can be closed without a close frame."""

    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One message for the client `to`, or for every client when `to` is None."""

    payload: bytes
    type: WSMsgType
    to: str | None


class Hub:
    """The WebSocket clients by id.

    `send`, `send_binary`, `abort_all` and `forget_all` may be called from any thread, the other methods only from
    the event loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._listeners: dict[str, HubClient] = {}
        self._flags: dict[str, Mapping[str, object]] = {}

    def connect(self, client_id: str, listener: HubClient) -> None:
        """Send the client's frames to this listener from now on. It replaces an earlier listener of the same client."""
        self._listeners[client_id] = listener
        self._flags[client_id] = {}

    def disconnect(self, client_id: str) -> None:
        """Remove the client, even when a newer socket uses its id by now.

        The newer socket stays open and gets no more frames. ComfyUI does the same (recording 13, case c), and clients
        must cope with it.
        """
        self._listeners.pop(client_id, None)
        self._flags.pop(client_id, None)

    def abort_all(self) -> None:
        """Close every WebSocket's connection without a close frame, as a network failure does."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def forget_all(self) -> None:
        """Remove every client, so that none gets another frame. The WebSockets stay open."""
        self._loop.call_soon_threadsafe(self._listeners.clear)

    def set_flags(self, client_id: str, flags: Mapping[str, object]) -> None:
        """Store the feature flags that the client sent."""
        self._flags[client_id] = flags

    def supports(self, client_id: str | None, flag: str) -> bool:
        """Return whether the client sent this feature flag as true."""
        return client_id is not None and self._flags.get(client_id, {}).get(flag) is True

    def has_listener(self, to: str | None) -> bool:
        """Return whether this client is connected, or whether any client is when `to` is None."""
        return bool(self._listeners) if to is None else to in self._listeners

    def send(self, event: str, data: Mapping[str, object], to: str | None = None) -> None:
        """Queue a text frame `{"type", "data"}`. A client that is not connected never gets it."""
        if self.has_listener(to):
            payload = dumps({"type": event, "data": data})
            self._post(Frame(payload, WSMsgType.TEXT, to))

    def send_binary(self, payload: bytes, to: str | None = None) -> None:
        """Queue a binary frame. A client that is not connected never gets it."""
        if self.has_listener(to):
            self._post(Frame(payload, WSMsgType.BINARY, to))

    async def send_immediately(self, event: str, data: Mapping[str, object], to: str) -> None:
        """Send a text frame to one client, before all queued frames: the first `status` or the feature flags."""
        payload = dumps({"type": event, "data": data})
        await self._deliver(Frame(payload, WSMsgType.TEXT, to))

    async def publish(self) -> None:
        """Send queued frames one after the other until cancelled."""
        while True:
            await self._deliver(await self._frames.get())

    def _abort_all(self) -> None:
        """Close every WebSocket's connection, in the thread of the event loop."""
        for listener in list(self._listeners.values()):
            _abort(listener)

    def _post(self, frame: Frame) -> None:
        """Queue a frame from any thread."""
        with suppress(RuntimeError):  # the loop is closed already, so no client is connected
            self._loop.call_soon_threadsafe(self._frames.put_nowait, frame)

    async def _deliver(self, frame: Frame) -> None:
        """Send a frame to its client, or to all clients."""
        if frame.to is None:
            listeners = list(self._listeners.values())
        else:
            listener = self._listeners.get(frame.to)
            listeners = [] if listener is None else [listener]
        for listener in listeners:
            await _send(listener, frame)


async def _send(listener: HubClient, frame: Frame) -> None:
    """Send one frame to a client. A client that does not read it in time is disconnected."""
    try:
        async with asyncio.timeout(STALLED_AFTER_S):
            await listener.socket.send_frame(frame.payload, frame.type)
    except TimeoutError:
        logger.warning("A WebSocket client read nothing for %g seconds. Its connection was closed.", STALLED_AFTER_S)
        _abort(listener)
    except (ClientError, ConnectionError, RuntimeError):
        # The client disconnected. Its request handler removes it from the hub.
        logger.debug("Discarded a frame for a closed WebSocket.")


def _abort(listener: HubClient) -> None:
    """Close the client's connection without a close frame."""
    if isinstance(listener.transport, asyncio.WriteTransport):
        listener.transport.abort()
