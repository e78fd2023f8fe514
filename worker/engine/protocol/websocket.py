"""The one long-lived WebSocket to an engine: opens it again when it breaks, and sorts its frames by prompt."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from worker.backoff import Backoff
from worker.engine.process.names import per_engine
from worker.engine.protocol.messages import Message, RunMessage, Status, is_garbled, parse_binary, parse_text
from worker.events import EngineConnected, EngineLost, LossCause, Notify, ignore_event
from worker.supervision import Tasks, stop

log = logging.getLogger(__name__)

FLAGS = orjson.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}).decode()
HEARTBEAT_S = 30.0
"""A half-dead TCP connection shows by a missing pong; ComfyUI itself never pings."""
RECONNECT = Backoff(0.05, 1.0)


@dataclass(frozen=True, slots=True)
class SocketLost:
    """The socket that a run was submitted under is gone: the rest of its frames will never come."""


@dataclass(frozen=True, slots=True)
class PromptHung:
    """The prompt makes no progress and is being stopped: its end is none that somebody asked for."""


@dataclass(frozen=True, slots=True)
class EngineUnusable:
    """This ComfyUI runs nothing any more, and nobody here can restart it."""

    why: str


@dataclass(frozen=True, slots=True)
class PromptEvicted:
    """A stuck node blocks ComfyUI, and the prompts behind it run again: it is killed, or another engine is free."""


RunNotice = SocketLost | PromptHung | EngineUnusable | PromptEvicted
"""What is not said by ComfyUI, but about it."""


@dataclass(slots=True)
class Subscription:
    """What one prompt hears: its own frames, every `Status`, and notes."""

    client_id: str
    messages: asyncio.Queue[RunMessage | Status | RunNotice] = field(default_factory=asyncio.Queue)


class EngineSocket:
    """Each connection has a fresh client id.

    With the old id a new socket turns deaf when the server notices the old one's end late (protocol reference,
    section 9), so the frames of running prompts are given up instead: they hear `SocketLost` and ask over HTTP.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, tasks: Tasks, name: str, notify: Notify = ignore_event
    ) -> None:
        """`name` is the engine's."""
        self._session = session
        self.name = name
        self._notify = notify
        self._tasks = tasks
        self._url = base_url + "/ws"
        self._subscriptions: dict[str, Subscription] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._client_id = ""
        self._open = asyncio.Event()
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost_at: float | None = None
        """When the last socket was lost; None before the first one."""
        self.refused_at = -1.0
        """When nobody listened there: whatever ComfyUI knew before is lost."""
        self.on_message: Callable[[RunMessage], None] = lambda _: None
        """Hears the frames of every prompt, also of those without a subscription."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a socket was opened or lost."""
        self.connections = 0
        """How many sockets were opened: behind each there may be another life of ComfyUI."""
        self.heard_at = 0.0
        """When the last frame of any kind came, on the monotonic clock."""
        self.garbled = 0
        """How many frames had another shape than ComfyUI's: each may have told something of any prompt."""

    async def __aenter__(self) -> Self:
        self._task = self._tasks.start(per_engine("comfyui-websocket", self.name), self._keep_open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._task:
            await stop(self._task)

    @property
    def client_id(self) -> str:
        """Of the socket that is open, or was: the frames of prompts submitted under another one are lost."""
        return self._client_id

    @property
    def connected(self) -> bool:
        return self._open.is_set()

    @property
    def away_s(self) -> float:
        """Seconds without a socket: 0 while one is open, infinite before the first."""
        if self.connected:
            return 0.0
        return math.inf if self._lost_at is None else time.monotonic() - self._lost_at

    async def opened(self, timeout_s: float) -> None:
        """Wait for an open socket. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._open.wait()

    async def closed(self, timeout_s: float) -> None:
        """Wait for the end of the socket that is open. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._closed.wait()

    @contextmanager
    def subscription(self, prompt_id: str) -> Iterator[Subscription]:
        """Listen for a prompt, from before it is posted (its first frames may overtake the answer) until the end."""
        subscription = self._subscriptions[prompt_id] = Subscription(self._client_id)
        if not self.connected:
            subscription.messages.put_nowait(SocketLost())
        try:
            yield subscription
        finally:
            del self._subscriptions[prompt_id]

    async def reopen(self, client_id: str) -> None:
        """Drop the socket of `client_id` because it turned out to be deaf; another one takes its place."""
        if self._socket is not None and client_id == self._client_id:
            log.warning("the WebSocket to ComfyUI is open but silent; opening another")
            await self._socket.close()

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
                failures = 0
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    self.refused_at = time.monotonic()
                log.debug("no WebSocket to ComfyUI: %s", error)
            self._lose()
            failures += 1
            await asyncio.sleep(RECONNECT.pause(failures))

    async def _listen(self) -> None:
        """One connection, from its handshake to its end. Raises what aiohttp raises when there is none to be had."""
        client_id = uuid.uuid4().hex
        async with self._session.ws_connect(
            self._url, params={"clientId": client_id}, heartbeat=HEARTBEAT_S, max_msg_size=0
        ) as socket:
            await socket.send_str(FLAGS)
            async for frame in socket:
                self.heard_at = time.monotonic()
                message = _read(frame)
                if isinstance(message, Status) and message.sid:
                    self._socket, self._client_id = socket, client_id
                    self.connections += 1
                    self._open.set()
                    self._closed.clear()
                    self.changed()
                    self._notify(EngineConnected(self.name))
                if message is not None:
                    self._deliver(message)
                elif frame.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY} and is_garbled(frame.data):
                    self._count_garbled()

    def _count_garbled(self) -> None:
        if self.garbled == 0:
            log.warning("ComfyUI sent a frame of another shape than its own; what a run has lost by it is asked for")
        self.garbled += 1

    def _deliver(self, message: Message) -> None:
        if isinstance(message, Status):
            for subscription in self._subscriptions.values():
                subscription.messages.put_nowait(message)
            return
        self.on_message(message)
        if message.prompt_id in self._subscriptions:
            self._subscriptions[message.prompt_id].messages.put_nowait(message)

    def notify_run(self, prompt_id: str, notice: RunNotice) -> None:
        if subscription := self._subscriptions.get(prompt_id):
            subscription.messages.put_nowait(notice)

    def notify_runs(self, notice: RunNotice) -> None:
        for subscription in self._subscriptions.values():
            subscription.messages.put_nowait(notice)

    def _lose(self) -> None:
        changed = self.connected
        if changed:
            log.info("lost the WebSocket to ComfyUI with %d prompts under way", len(self._subscriptions))
            self._lost_at = time.monotonic()
            self._notify(EngineLost(self.name, LossCause.DISCONNECTED))
            self.notify_runs(
                SocketLost()
            )  # once: a note with each failed try would put off the clock of those that wait
        self._open.clear()
        self._closed.set()
        self._socket = None
        if changed:
            self.changed()


def _read(frame: aiohttp.WSMessage) -> Message | None:
    if frame.type is aiohttp.WSMsgType.TEXT:
        return parse_text(frame.data)
    if frame.type is aiohttp.WSMsgType.BINARY:
        return parse_binary(frame.data)
    return None
