"""Which process of handlers has sent a request, by the socket at the other end of its connection."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

TABLE = Path("/proc/net/tcp")
"""Linux's table of IPv4 connections."""
LOCAL, REMOTE, INODE = 1, 2, 9
"""Columns of the table."""


def sender(own_port: int, peer_port: int, pids: Mapping[str, int]) -> str | None:
    """Return the name of the process that holds the other end of a connection on the loopback interface.

    `pids` are process ids by name. The result is None for another process, such as one that a handler has started,
    and on systems without this table.
    """
    inode = _inode(peer_port, own_port)
    if inode is None:
        return None
    return next((name for name, pid in pids.items() if _holds(pid, f"socket:[{inode}]")), None)


def _inode(local_port: int, remote_port: int) -> str | None:
    """Return the inode of the socket with these ports, or None."""
    local, remote = f":{local_port:04X}", f":{remote_port:04X}"
    with suppress(OSError):
        for line in TABLE.read_text("ascii").splitlines()[1:]:
            columns = line.split()
            if columns[LOCAL].endswith(local) and columns[REMOTE].endswith(remote):
                return columns[INODE]
    return None


def _holds(pid: int, target: str) -> bool:
    """Return whether a process has this socket open."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed in the meantime
                if str(descriptor.readlink()) == target:
                    return True
    return False
