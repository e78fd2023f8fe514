"""A request of the fuzzer, its response, and the check of the response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from chaos.clients.response_reader import Body, error_of
from worker.errors import WorkerError
from worker.sse import EventParser, ServerSentEvent

NON_JSON_ROUTES = ("/outputs/", "/docs", "/metrics")
"""Routes whose successful responses are not JSON."""
BODILESS_STATUSES = frozenset({206, 304, 412, 416})
"""Statuses of requests for a part of a file, whose responses have no JSON body."""


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """One request. `kind` groups the responses in the tally."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "generate"


@dataclass(frozen=True, slots=True)
class FuzzResponse:
    """One response."""

    status: int
    content_type: str
    body: bytes

    def events(self) -> list[ServerSentEvent]:
        """Return the events of a stream. An event that was cut off is included."""
        return EventParser().feed(self.body + b"\n\n")

    def parsed(self) -> Body | None:
        """Return the JSON object of the response or of a stream's last event, or None without one."""
        text = self.body
        if self.content_type == "text/event-stream":
            events = self.events()
            text = events[-1].data if events else b""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None

    def code(self) -> str:
        """Return the error code, or an empty text without an error object."""
        error = error_of(self.parsed() or {})
        return str(error["code"]) if error else ""


def documented_errors() -> frozenset[tuple[int, str]]:
    """Return status and code of all error classes. Of the 5xx statuses only 503 is documented."""
    kinds: list[type[WorkerError]] = [WorkerError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return frozenset((kind.status, kind.code) for kind in kinds if kind.status < 500 or kind.status == 503)


def find_problem(request: FuzzRequest, response: FuzzResponse, documented: frozenset[tuple[int, str]]) -> str | None:
    """Return what is wrong with a response, or None.

    A response must be JSON. An error must have the worker's error object, and a 5xx status must be documented.
    """
    if response.status == 417 or (
        response.status in BODILESS_STATUSES and any(part in request.path for part in NON_JSON_ROUTES)
    ):
        return None  # the HTTP library responds with 417 before any route
    if response.status == 400 and "Content-Encoding" in request.headers:
        return None  # the HTTP library rejects a body that does not match its Content-Encoding
    if response.status < 400:
        may_be_other = any(part in request.path for part in NON_JSON_ROUTES)
        return None if may_be_other or response.parsed() is not None else f"{response.status} without JSON"
    code = response.code()
    if not code:
        return f"{response.status} without an error object"
    if response.status >= 500 and (response.status, code) not in documented:
        return f"{response.status} {code}"
    return None
