"""Parser for Server-Sent Events in a stream of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_END = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """`data` are the event's lines, joined. `id` is the last id in the stream so far."""

    data: bytes
    name: str = "message"
    id: str = ""


class EventParser:
    """Parser for a stream, as in the HTML standard. The length of a line is not limited, because previews are long."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """Number of bytes in the buffer that are known to have no line end."""
        self._after_cr = False
        """Whether the last piece ended with a CR, so that an LF at the start of the next one belongs to it."""
        self._is_first_line = True
        self._data: list[bytes] = []
        self._name = ""
        self._id = ""

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that this piece of the stream completes."""
        if not piece:
            return []
        self._buffer += piece.removeprefix(b"\n") if self._after_cr else piece
        line_end_spans = [match.span() for match in LINE_END.finditer(self._buffer, self._searched)]
        events, line_start = [], 0
        for line_end, next_line_start in line_end_spans:
            event = self._process_line(bytes(self._buffer[line_start:line_end]))
            line_start = next_line_start
            if event is not None:
                events.append(event)
        self._after_cr = piece.endswith(b"\r")
        del self._buffer[:line_start]
        self._searched = len(self._buffer)
        return events

    def _process_line(self, line: bytes) -> ServerSentEvent | None:
        """Process one line. Return the event that ends with a blank line, or None for any other line."""
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")  # a comment has an empty field name
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        """Return the event that the lines since the last blank line describe, or None if they have no data."""
        data, name = b"\n".join(self._data), self._name
        self._data, self._name = [], ""
        return ServerSentEvent(data, name or "message", self._id) if data else None
