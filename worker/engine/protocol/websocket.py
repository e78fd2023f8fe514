"""The WebSocket to one ComfyUI: reconnects when it breaks, and distributes its frames by prompt."""

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
from worker.engine.protocol.messages import Message, RunMessage, Status, may_be_run_message, parse_binary, parse_text
from worker.events import EngineConnected, EngineLost, LossCause, Notify, ignore_event
from worker.supervision import Tasks, stop

log = logging.getLogger(__name__)

FLAGS = orjson.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}).decode()
"""Message after the handshake that requests previews with metadata, which name their prompt."""
HEARTBEAT_S = 30.0
"""Seconds between pings. A missing pong shows a half-open TCP connection, and ComfyUI itself never pings."""
RECONNECT = Backoff(0.05, 1.0)
"""Pauses between connection attempts."""


@dataclass(frozen=True, slots=True)
class SocketLost:
    """Notice that the connection of a run's submission is gone, so no more of its frames can arrive."""


@dataclass(frozen=True, slots=True)
class PromptHung:
    """Notice that the prompt makes no progress and that the worker interrupts it."""


@dataclass(frozen=True, slots=True)
class EngineUnusable:
    """Notice that this ComfyUI runs nothing any more and that this worker cannot restart it."""

    reason: str


@dataclass(frozen=True, slots=True)
class PromptEvicted:
    """Notice that a stuck node blocks ComfyUI.

    The waiting prompts run again, after ComfyUI is killed or on another engine.
    """


RunNotice = SocketLost | PromptHung | EngineUnusable | PromptEvicted
"""Messages to a run that come from the worker, not from ComfyUI."""


@dataclass(slots=True)
class Subscription:
    """The messages of one prompt: its own frames, every `Status` and the worker's notices."""

    client_id: str
    messages: asyncio.Queue[RunMessage | Status | RunNotice] = field(default_factory=asyncio.Queue)


class EngineSocket:
    """The long-lived WebSocket. Each connection has a new client id.

    With the old id, a new connection would receive nothing if ComfyUI noticed the end of the old one late (protocol
    reference, section 9). So the frames of running prompts are lost. Their runs receive `SocketLost` and poll over
    HTTP.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, tasks: Tasks, name: str, notify: Notify = ignore_event
    ) -> None:
        """`name` is the engine's name."""
        self._session = session
        self.name = name
        self._notify = notify
        self._tasks = tasks
        self._url = base_url + "/ws"
        self._subscriptions: dict[str, Subscription] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._client_id = ""
        self._opened_event = asyncio.Event()
        self._closed_event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost_at: float | None = None
        """Time on the monotonic clock at which the last connection was lost, or None before the first one."""
        self.refused_at = -1.0
        """Time on the monotonic clock of the last refused connection. ComfyUI had lost all earlier prompts then."""
        self.on_message: Callable[[RunMessage], None] = lambda _: None
        """Called with the frames of every prompt, subscribed or not."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a connection was opened or lost."""
        self.connections = 0
        """Number of connections so far. ComfyUI may have been restarted between two of them."""
        self.last_frame_at = 0.0
        """Time of the last frame of any kind, on the monotonic clock."""
        self.unreadable_frames = 0
        """Number of unreadable frames. Each may have belonged to any prompt."""

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
        """Client id of the current or last connection. Frames of prompts with another client id do not arrive."""
        return self._client_id

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._opened_event.is_set()

    @property
    def disconnected_s(self) -> float:
        """Seconds without a connection. 0 while one is open, infinite before the first."""
        if self.connected:
            return 0.0
        return math.inf if self._lost_at is None else time.monotonic() - self._lost_at

    async def wait_until_open(self, timeout_s: float) -> None:
        """Wait for an open connection. Raises TimeoutError after `timeout_s` seconds."""
        async with asyncio.timeout(timeout_s):
            await self._opened_event.wait()

    async def wait_until_closed(self, timeout_s: float) -> None:
        """Wait for the end of the current connection. Raises TimeoutError after `timeout_s` seconds."""
        async with asyncio.timeout(timeout_s):
            await self._closed_event.wait()

    @contextmanager
    def subscription(self, prompt_id: str) -> Iterator[Subscription]:
        """Receive the messages of a prompt inside the context.

        Enter it before the prompt is posted, because its first frames may arrive before the response.
        """
        subscription = self._subscriptions[prompt_id] = Subscription(self._client_id)
        if not self.connected:
            subscription.messages.put_nowait(SocketLost())
        try:
            yield subscription
        finally:
            del self._subscriptions[prompt_id]

    async def reopen(self, client_id: str) -> None:
        """Close the connection with this client id, because it receives nothing. A new one is opened."""
        if self._socket is not None and client_id == self._client_id:
            log.warning("the WebSocket to ComfyUI is open but silent; opening another")
            await self._socket.close()

    async def _keep_open(self) -> None:
        """Open a connection, and open another one each time it has ended."""
        failures = 0
        while True:
            try:
                await self._listen()
                failures = 0
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    self.refused_at = time.monotonic()
                log.debug("no WebSocket to ComfyUI: %s", error)
            self._record_loss()
            failures += 1  # also after a connection, so that there is a pause before the next one
            await asyncio.sleep(RECONNECT.pause(failures))

    async def _listen(self) -> None:
        """Open one connection and distribute its frames until it ends. Raises aiohttp's errors."""
        client_id = uuid.uuid4().hex
        async with self._session.ws_connect(
            self._url, params={"clientId": client_id}, heartbeat=HEARTBEAT_S, max_msg_size=0
        ) as socket:
            await socket.send_str(FLAGS)
            async for frame in socket:
                self.last_frame_at = time.monotonic()
                message = _parse(frame)
                if isinstance(message, Status) and message.sid:  # ComfyUI's first frame: it is ready
                    self._socket, self._client_id = socket, client_id
                    self.connections += 1
                    self._opened_event.set()
                    self._closed_event.clear()
                    self.changed()
                    self._notify(EngineConnected(self.name))
                if message is not None:
                    self._deliver(message)
                elif frame.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY} and may_be_run_message(
                    frame.data
                ):
                    self._count_unreadable()

    def _count_unreadable(self) -> None:
        """Count a frame that may have belonged to a run. Only the first one is logged."""
        if self.unreadable_frames == 0:
            log.warning("ComfyUI sent an unreadable frame; each affected run reads its history")
        self.unreadable_frames += 1

    def _deliver(self, message: Message) -> None:
        """Pass a message to the run of its prompt, or a `Status` to all runs."""
        if isinstance(message, Status):
            for subscription in self._subscriptions.values():
                subscription.messages.put_nowait(message)
            return
        self.on_message(message)
        if message.prompt_id in self._subscriptions:
            self._subscriptions[message.prompt_id].messages.put_nowait(message)

    def notify_run(self, prompt_id: str, notice: RunNotice) -> None:
        """Send a notice to the run of a prompt, if there is one."""
        if subscription := self._subscriptions.get(prompt_id):
            subscription.messages.put_nowait(notice)

    def notify_runs(self, notice: RunNotice) -> None:
        """Send a notice to all runs."""
        for subscription in self._subscriptions.values():
            subscription.messages.put_nowait(notice)

    def _record_loss(self) -> None:
        """Record that there is no connection. The runs are notified once for each lost connection."""
        was_connected = self.connected
        if was_connected:
            log.info("lost the WebSocket to ComfyUI with %d prompts under way", len(self._subscriptions))
            self._lost_at = time.monotonic()
            self._notify(EngineLost(self.name, LossCause.DISCONNECTED))
            self.notify_runs(SocketLost())  # not at each failed attempt, because a notice restarts a run's timeout
        self._opened_event.clear()
        self._closed_event.set()
        self._socket = None
        if was_connected:
            self.changed()


def _parse(frame: aiohttp.WSMessage) -> Message | None:
    """Return the message in a frame, or None for other frames."""
    if frame.type is aiohttp.WSMsgType.TEXT:
        return parse_text(frame.data)
    if frame.type is aiohttp.WSMsgType.BINARY:
        return parse_binary(frame.data)
    return None
