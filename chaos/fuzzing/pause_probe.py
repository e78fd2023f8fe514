"""A probe of a server's pauses: `python -m chaos.fuzzing.pause_probe PORT PID`.

It sends a small request again and again until stdin is closed, and prints its measurements as JSON. It is a process of
its own, so that it does not measure the process that attacks the server. A pause is the time for which the server's
process ran before it answered. The time in which a busy machine did not run it does not count.
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
RESPONSE_S = 30.0
REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
MAX_RESPONSE = 64 * 1024


@dataclass(slots=True)
class Pauses:
    """The measurements. `longest` pause and latency are in seconds. `failed` counts probes without a response."""

    probes: int = 0
    failed: int = 0
    longest: float = 0.0
    longest_latency: float = 0.0

    def probe(self, connection: socket.socket, pid: str) -> None:
        """Send one request and record its pause and latency."""
        started, ran_before = time.monotonic(), _running_time(pid)
        self.probes += 1
        try:
            connection.sendall(REQUEST)
            self.failed += not connection.recv(MAX_RESPONSE).startswith(b"HTTP/1.1 200")
        except OSError:
            self.failed += 1
        latency = time.monotonic() - started
        self.longest = max(self.longest, min(latency, _running_time(pid) - ran_before))
        self.longest_latency = max(self.longest_latency, latency)


def main() -> None:
    """Probe the server until stdin is closed, and print the measurements."""
    port, pid = int(sys.argv[1]), sys.argv[2]
    pauses = Pauses()
    with socket.create_connection(("127.0.0.1", port), timeout=RESPONSE_S) as connection:
        while not select.select([sys.stdin], [], [], EVERY_S)[0]:
            pauses.probe(connection, pid)
    print(json.dumps([pauses.probes, pauses.failed, pauses.longest, pauses.longest_latency]))


def _running_time(pid: str) -> float:
    """Return the seconds for which the main thread of a process has run on a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("utf-8").split()[0]) / 1e9


if __name__ == "__main__":
    main()
