"""The requests that wait at the router for a worker. There is no I/O, and the caller passes the time."""

from __future__ import annotations

import math
from dataclasses import dataclass

FORGET_S = 60.0
"""Seconds without a poll after which a client counts as gone."""
PAUSE_S = 1.5
"""Seconds for which a request that was held keeps its turn. Vast's client asks again after one second."""


@dataclass(slots=True)
class WaitingRequest:
    """A request without a worker: its cost in units, when it began to wait, and when its client asked last.

    Until `turn_until` no later request is assigned, because the router holds a call of this one's client open, or did
    so a moment ago.
    """

    cost: float
    since: float
    asked_at: float
    turn_until: float = -math.inf


class WaitingRequests:
    """The waiting requests by their request_idx, which is also the order in which they arrived."""

    def __init__(self) -> None:
        self._requests: dict[int, WaitingRequest] = {}

    def add(self, request_idx: int, cost: float, now: float) -> None:
        """Add a request, or note that its client has asked again. Requests of clients that are gone are removed."""
        self._remove_abandoned(now)
        request = self._requests.setdefault(request_idx, WaitingRequest(cost, now, now))
        request.asked_at = now

    def remove(self, request_idx: int) -> None:
        """Remove a request that has a worker or is done."""
        self._requests.pop(request_idx, None)

    def present(self, now: float) -> list[WaitingRequest]:
        """Return the requests in the order in which they arrived. Those of clients that are gone are removed before."""
        self._remove_abandoned(now)
        return [self._requests[request_idx] for request_idx in sorted(self._requests)]

    def _remove_abandoned(self, now: float) -> None:
        """Remove the requests of clients that have not asked for FORGET_S."""
        for request_idx, request in list(self._requests.items()):
            if request.turn_until < now and now - request.asked_at >= FORGET_S:
                del self._requests[request_idx]

    def is_first(self, request_idx: int, now: float) -> bool:
        """Return whether no earlier request has a turn."""
        return all(other >= request_idx or request.turn_until < now for other, request in self._requests.items())

    def hold(self, request_idx: int, until: float) -> None:
        """Let a waiting request keep its turn until then, and until its client has asked again."""
        self._requests[request_idx].turn_until = until + PAUSE_S
