"""The connections of strangers, and which of them makes room for another one."""

from __future__ import annotations

from collections.abc import Iterable

from worker.connections.connection import Connection, Phase
from worker.connections.limits import ConnectionLimits

Group = dict[Connection, None]
"""The connections of one client, the oldest first."""


class ConnectionTable:
    """Connections that have not shown a valid signature or token, by client."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._groups: dict[str, Group] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection) -> None:
        self._groups.setdefault(connection.client, {})[connection] = None
        self._count += 1

    def discard(self, connection: Connection) -> None:
        group = self._groups.get(connection.client, {})
        if connection in group:
            del group[connection]
            self._count -= 1
            if not group:
                del self._groups[connection.client]

    def crowd(self, client: str) -> Iterable[Connection]:
        """Return the connections of which one has to go before this client gets one more; none where there is room."""
        own = self._groups.get(client, {})
        if len(own) >= self._limits.of_one_address:
            return own
        return self.largest() if self._count >= self._limits.max_unauthenticated else ()

    def largest(self) -> Iterable[Connection]:
        """Return the connections of the client that has the most: it can spare one best."""
        return max(self._groups.values(), key=len, default={})


def eviction_candidate(crowd: Iterable[Connection]) -> Connection | None:
    """Return the oldest connection that waits for a request, else the oldest whose body is not here yet.

    One whose request is complete is answered first.
    """
    body = None
    for connection in crowd:
        phase = connection.phase
        if phase is Phase.WAITING:
            return connection
        if phase is Phase.BODY and body is None:
            body = connection
    return body
