"""The last lines of the log, and the clients that asked to read along."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.simulators.comfyui.server.hub import Hub

KEPT_LINES = 300


@dataclass(frozen=True, slots=True)
class LogLine:
    """`time` is ISO 8601 without a zone, `message` ends in a newline and carries ComfyUI's colour codes."""

    time: str
    message: str

    def as_json(self) -> dict[str, object]:
        return {"t": self.time, "m": self.message}


class ServerLog:
    """Thread-safe."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._readers: set[str] = set()

    def info(self, message: str) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        line = LogLine(now.isoformat(), f"\x1b[32m[INFO]\x1b[0m {message}\n")
        with self._lock:
            self._lines.append(line)
            self._readers = {reader for reader in self._readers if self._hub.has_listener(reader)}
            readers = list(self._readers)
        for reader in readers:
            self._hub.send("logs", {"entries": [line.as_json()], "size": None}, reader)

    def lines(self) -> list[LogLine]:
        with self._lock:
            return list(self._lines)

    def subscribe(self, client_id: str) -> None:
        """Send this client each new line. Only clients with a socket are remembered."""
        with self._lock:
            if self._hub.has_listener(client_id):
                self._readers.add(client_id)

    def unsubscribe(self, client_id: str) -> None:
        with self._lock:
            self._readers.discard(client_id)
