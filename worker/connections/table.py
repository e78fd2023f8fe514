"""Unauthenticated connections, and which of them is evicted for a new one."""

from __future__ import annotations

from collections.abc import Iterable

from worker.connections.connection import Connection, Phase
from worker.connections.limits import ConnectionLimits

Group = dict[Connection, None]
"""Connections of one client, oldest first."""


class ConnectionTable:
    """Connections that have shown no valid signature or token, by client."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._groups: dict[str, Group] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection) -> None:
        """Add a connection."""
        self._groups.setdefault(connection.client, {})[connection] = None
        self._count += 1

    def discard(self, connection: Connection) -> None:
        """Remove a connection if it is in the table."""
        group = self._groups.get(connection.client, {})
        if connection in group:
            del group[connection]
            self._count -= 1
            if not group:
                del self._groups[connection.client]

    def eviction_group(self, client: str) -> Iterable[Connection]:
        """Return the connections of which one has to be evicted before this client gets one more.

        The result is empty below the limits.
        """
        group = self._groups.get(client, {})
        if len(group) >= self._limits.max_per_address:
            return group
        return self.largest_group() if self._count >= self._limits.max_unauthenticated else ()

    def largest_group(self) -> Iterable[Connection]:
        """Return the connections of the client that has the most, or an empty group if there are none."""
        return max(self._groups.values(), key=len, default={})


def eviction_candidate(group: Iterable[Connection]) -> Connection | None:
    """Return the oldest connection that waits for a request, else the oldest whose body is incomplete, else None.

    A connection whose request is complete is not evicted, so that it gets its response.
    """
    oldest_with_body = None
    for connection in group:
        phase = connection.phase
        if phase is Phase.WAITING:
            return connection
        if phase is Phase.BODY and oldest_with_body is None:
            oldest_with_body = connection
    return oldest_with_body
