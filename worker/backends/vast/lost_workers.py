"""Decides whether a worker that cannot be reached is gone for good. Pure: the caller passes the time."""

from __future__ import annotations


class LostWorkers:
    """Remembers since when each address has been silent.

    The router lists workers by the number of their instance and not by their address, so the list alone cannot say
    which one is gone. A worker counts as lost if the endpoint has no worker at all, or if it has been silent for
    `gone_s` seconds while the router answers: then this machine is online, and a restart of the worker would be over.
    """

    def __init__(self, gone_s: float) -> None:
        self._gone_s = gone_s
        self._silent_since: dict[str, float] = {}

    def reached(self, address: str) -> None:
        """Note that a worker has answered."""
        self._silent_since.pop(address, None)

    def is_lost(self, address: str, workers: int | None, now: float) -> bool:
        """Return whether a worker that has just not answered is lost.

        `workers` is the number of workers that the router lists, None if it did not answer either.
        """
        since = self._silent_since.setdefault(address, now)
        is_lost = workers is not None and (workers == 0 or now - since >= self._gone_s)
        if is_lost:  # a later job there starts with a silence of its own
            del self._silent_since[address]
        return is_lost
