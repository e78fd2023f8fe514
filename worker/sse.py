"""Server-Sent Events out of bytes, however they are cut into pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_END = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """`data` is its lines, joined; `id` is that of the last event which had one."""

    data: bytes
    name: str = "message"
    id: str = ""


class EventParser:
    """Parses a stream as the HTML standard says. A line may be longer than any buffer: previews are."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        """So much of the rest is known to have no end of a line in it."""
        self._after_cr = False
        self._first = True
        self._data: list[bytes] = []
        self._name = ""
        self._id = ""

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that this piece of the stream completes."""
        if not piece:
            return []
        self._rest += piece.removeprefix(b"\n") if self._after_cr else piece
        ends = [match.span() for match in LINE_END.finditer(self._rest, self._searched)]
        events, start = [], 0
        for end, following in ends:
            event = self._take(bytes(self._rest[start:end]))
            start = following
            if event is not None:
                events.append(event)
        self._after_cr = piece.endswith(b"\r")
        del self._rest[:start]
        self._searched = len(self._rest)
        return events

    def _take(self, line: bytes) -> ServerSentEvent | None:
        """Take one line; return the event that it ends, if it is the blank one after an event."""
        if self._first:
            self._first = False
            line = line.removeprefix(BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")  # a comment has a field without a name
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, name = b"\n".join(self._data), self._name
        self._data, self._name = [], ""
        return ServerSentEvent(data, name or "message", self._id) if data else None
