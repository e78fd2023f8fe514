"""Ports for servers that are started by a command line, which can't be given a socket."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from itertools import count as counting
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 10_000
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
OUTGOING_FROM = 32_768
"""Linux' default; macOS begins at 49152."""
ATTEMPTS = 1000
STRIDE = 37
"""Ports between the beginnings of two processes: those that look at the same time find different ones."""

_looked_at = counting()


def free_port() -> int:
    """Return a port of the loopback address on which nothing listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback address on which nothing listens. Raises OSError where there are none.

    They lie below those that the kernel gives to outgoing connections and to servers that ask for port 0. One of
    those might take the port before the server is there, or while it is started again.
    """
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(ATTEMPTS):
            port = LOWEST + (os.getpid() * STRIDE + next(_looked_at)) % (_outgoing_from() - LOWEST)
            with suppress(OSError):
                held.enter_context(socket.socket()).bind((HOST, port))
                found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"no {count} ports are free on {HOST}")


def _outgoing_from() -> int:
    try:
        lowest = int(OUTGOING.read_text("ascii").split()[0])
    except (OSError, ValueError):
        lowest = OUTGOING_FROM
    return lowest if lowest >= LOWEST + ATTEMPTS else OUTGOING_FROM
