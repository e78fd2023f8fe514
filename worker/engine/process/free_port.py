"""Free ports for servers that are started by a command line and cannot inherit a socket."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from itertools import count as counting
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 10_000
"""Lowest port that is returned."""
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""File with the range of ports that the kernel uses for outgoing connections."""
OUTGOING_FROM = 32_768
"""Linux's default start of that range. On macOS it starts at 49152."""
ATTEMPTS = 1000
STRIDE = 2_377
"""Distance between the first ports of two successive processes, larger than the number of ports that one searches."""

_attempts = counting()


def free_port() -> int:
    """Return a port of the loopback address on which nothing listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback address on which nothing listens. Raises OSError when too few are free.

    They are below the ports that the kernel assigns to outgoing connections and to servers that request port 0. One of
    those could be in use before the new server listens, or while it restarts.
    """
    ports: list[int] = []
    with ExitStack() as open_sockets:
        for _ in range(ATTEMPTS):
            port = LOWEST + (os.getpid() * STRIDE + next(_attempts)) % (_outgoing_from() - LOWEST)
            with suppress(OSError):
                open_sockets.enter_context(socket.socket()).bind((HOST, port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(f"no {count} ports are free on {HOST}")


def _outgoing_from() -> int:
    """Return the first port that the kernel may give to outgoing connections."""
    try:
        lowest = int(OUTGOING.read_text("ascii").split()[0])
    except (OSError, ValueError):
        lowest = OUTGOING_FROM
    # With a range that leaves too few ports below it, Linux's default is used, and a port of the range may be returned.
    return lowest if lowest >= LOWEST + ATTEMPTS else OUTGOING_FROM
