"""The requests that wait at the router because no worker can take them. There is no I/O, and the caller passes the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FORGET_S = 60.0
"""Seconds without a poll after which a client counts as gone."""


@dataclass(slots=True)
class WaitingRequest:
    """A request without a worker: its cost in units, when it began to wait, and when its client asked last.

    `is_held` is true while the router holds a call of its client open, so that the request can be assigned at once.
    """

    cost: float
    since: float
    asked_at: float
    is_held: bool = False


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
            if not request.is_held and now - request.asked_at >= FORGET_S:
                del self._requests[request_idx]

    def is_first(self, request_idx: int) -> bool:
        """Return whether no earlier request is held. A client that pauses between two polls loses its turn."""
        return all(other >= request_idx or not request.is_held for other, request in self._requests.items())

    @contextmanager
    def held(self, request_idx: int) -> Iterator[None]:
        """Mark a waiting request as held while the context lasts."""
        request = self._requests[request_idx]
        request.is_held = True
        try:
            yield
        finally:
            request.is_held = False
