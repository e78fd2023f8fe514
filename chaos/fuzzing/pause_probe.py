"""`python -m chaos.fuzzing.pause_probe PORT PID`: asks a server something small until stdin ends; prints what it saw.

A process of its own: in that of the attack it would measure the attack. A pause is the time that the server's process
was running before it answered, so that a busy machine, on which it waits for a processor, is no pause.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 0.02
ANSWER_S = 30.0
REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
LONGEST_ANSWER = 64 * 1024


@dataclass(slots=True)
class Pauses:
    """Seconds. `failed` counts probes without an answer."""

    probes: int = 0
    failed: int = 0
    longest: float = 0.0
    longest_latency: float = 0.0

    def probe(self, connection: socket.socket, pid: str) -> None:
        """Ask once."""
        began, ran = time.monotonic(), _running_time(pid)
        self.probes += 1
        try:
            connection.sendall(REQUEST)
            self.failed += not connection.recv(LONGEST_ANSWER).startswith(b"HTTP/1.1 200")
        except OSError:
            self.failed += 1
        latency = time.monotonic() - began
        self.longest = max(self.longest, min(latency, _running_time(pid) - ran))
        self.longest_latency = max(self.longest_latency, latency)


def main() -> None:
    port, pid = int(sys.argv[1]), sys.argv[2]
    pauses = Pauses()
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
        while not select.select([sys.stdin], [], [], EVERY_S)[0]:
            pauses.probe(connection, pid)
    print(json.dumps([pauses.probes, pauses.failed, pauses.longest, pauses.longest_latency]))


def _running_time(pid: str) -> float:
    """Seconds for which the main thread of a process had a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("utf-8").split()[0]) / 1e9


if __name__ == "__main__":
    main()
