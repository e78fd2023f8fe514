"""A log of all exchanges with workers and clients, in the form of the recordings of RunPod's SDK."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

KEPT = 10_000
KEPT_BODY = 16_384
"""Bytes of a body that are kept."""


@dataclass(frozen=True, slots=True)
class RunpodCall:
    """One exchange. `at` is when the request arrived, in seconds of the wall clock, and `held_s` how long it took.

    `path` includes the query. `headers` are in the order of the wire. `status` is 0 for a connection that was closed
    without a response. `size` is that of the whole request body in bytes.
    """

    at: float
    held_s: float
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    size: int
    status: int
    answer: str

    def header(self, name: str) -> str:
        """Return the value of a header, empty without it."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class RunpodCallLog:
    """The latest exchanges, in the order in which they ended. `until` waits for a condition on them."""

    def __init__(self) -> None:
        self.calls: deque[RunpodCall] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()

    def add(self, call: RunpodCall) -> None:
        """Add an exchange, and wake `until`."""
        self.calls.append(call)
        self._changed.set()
        self._changed = asyncio.Event()

    def of(self, operation: str) -> list[RunpodCall]:
        """Return the exchanges of one operation, such as `job-take` or `status`."""
        return [call for call in self.calls if operation in call.path.partition("?")[0].split("/")[3:4]]

    async def until(self, condition: Callable[[RunpodCallLog], object], timeout_s: float | None = 25.0) -> None:
        """Wait until the condition is true. Raises TimeoutError after `timeout_s` seconds, never with None."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                await self._changed.wait()

    def clear(self) -> None:
        """Remove all exchanges."""
        self.calls.clear()


def kept(body: bytes) -> str:
    """Return the start of a body as text."""
    return body[:KEPT_BODY].decode(errors="replace")


def header_pairs(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request as text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
