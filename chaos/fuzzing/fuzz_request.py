"""One request of the fuzzer, and what is wrong with the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from chaos.clients.hearing import Body, error_of
from worker.errors import WorkerError
from worker.sse import EventParser, ServerSentEvent

FILES = ("/outputs/", "/docs", "/metrics")
"""Routes that answer with something else than JSON where all is well."""
PLAIN = frozenset({206, 304, 412, 416})
"""Statuses about a part of a file, which say all in their headers."""


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """`kind` tells the routes apart in the table."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "generate"


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    content_type: str
    body: bytes

    def events(self) -> list[ServerSentEvent]:
        """Those of a stream that ended, with an end for one that was cut off in its last event."""
        return EventParser().feed(self.body + b"\n\n")

    def parsed(self) -> Body | None:
        """The object in it: of a stream, the data of its last event."""
        text = self.body
        if self.content_type == "text/event-stream":
            events = self.events()
            text = events[-1].data if events else b""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    def code(self) -> str:
        body = self.parsed() or {}
        error = error_of(body)
        return str(error["code"]) if error else ""


def documented() -> frozenset[tuple[int, str]]:
    """(status, code) of every error class there is; 5xx is among them only as 503."""
    kinds: list[type[WorkerError]] = [WorkerError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return frozenset((kind.status, kind.code) for kind in kinds if kind.status < 500 or kind.status == 503)


def problem(asked: FuzzRequest, answered: Answered, known: frozenset[tuple[int, str]]) -> str | None:
    """What no answer may be: another 5xx than a documented 503, or anything but JSON with our error object."""
    if answered.status == 417 or (answered.status in PLAIN and any(part in asked.path for part in FILES)):
        return None  # the former is the HTTP library's, before any route
    if answered.status == 400 and "Content-Encoding" in asked.headers:
        return None  # so is this, where headers come together with a body that is not encoded as they say
    if answered.status < 400:
        free = any(part in asked.path for part in FILES)
        return None if free or answered.parsed() is not None else f"{answered.status} without JSON"
    code = answered.code()
    if not code:
        return f"{answered.status} without our error object"
    if answered.status >= 500 and (answered.status, code) not in known:
        return f"{answered.status} {code}"
    return None
