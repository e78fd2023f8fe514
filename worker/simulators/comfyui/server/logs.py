"""The latest lines of the log, and the clients that subscribed to new lines."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.simulators.comfyui.server.hub import Hub

KEPT_LINES = 300


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log.

    `time` is ISO 8601 without a zone. `message` ends in a newline and contains ComfyUI's colour codes.
    """

    time: str
    message: str

    def as_json(self) -> dict[str, object]:
        """Return the line as `GET /internal/logs/raw` shows it."""
        return {"t": self.time, "m": self.message}


class ServerLog:
    """The latest `KEPT_LINES` lines of the log. Its methods may be called from any thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._subscribers: set[str] = set()

    def info(self, message: str) -> None:
        """Add a line and send it to the subscribers that still have a WebSocket."""
        now = datetime.now(UTC).replace(tzinfo=None)
        line = LogLine(now.isoformat(), f"\x1b[32m[INFO]\x1b[0m {message}\n")
        with self._lock:
            self._lines.append(line)
            self._subscribers = {client for client in self._subscribers if self._hub.has_listener(client)}
            subscribers = list(self._subscribers)
        for client_id in subscribers:
            self._hub.send("logs", {"entries": [line.as_json()], "size": None}, client_id)

    def lines(self) -> list[LogLine]:
        """Return the kept lines, oldest first."""
        with self._lock:
            return list(self._lines)

    def subscribe(self, client_id: str) -> None:
        """Send each new line to this client. A client without a WebSocket is ignored."""
        with self._lock:
            if self._hub.has_listener(client_id):
                self._subscribers.add(client_id)

    def unsubscribe(self, client_id: str) -> None:
        """Stop sending new lines to this client."""
        with self._lock:
            self._subscribers.discard(client_id)
