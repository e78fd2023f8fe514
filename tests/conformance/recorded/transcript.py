"""A session with a ComfyUI as typed events: requests, responses, and the frames of each client."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from worker.workflow.json_value import Json, JsonObject


@dataclass(frozen=True, slots=True)
class RecordedBody:
    """The body of a response. `content` is None above 64 KiB, because a recording keeps only the length then."""

    length: int
    content: bytes | None = b""

    @property
    def json(self) -> Json:
        """Return the decoded body. Raises orjson.JSONDecodeError when it is not JSON or was not kept."""
        parsed: Json = orjson.loads(self.content or b"")
        return parsed


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A recorded or replayed response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: RecordedBody

    @property
    def is_json(self) -> bool:
        """Whether the response has a JSON body."""
        return self.headers.get("content-type", "").startswith("application/json") and bool(self.body.content)


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a multipart body. A file has a `filename`."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A recorded request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    parts: tuple[FormField, ...] = ()

    @property
    def json(self) -> Json:
        """Return the decoded body, or None when it is not JSON."""
        try:
            parsed: Json = orjson.loads(self.body or b"")
        except orjson.JSONDecodeError:
            return None
        return parsed

    @property
    def route(self) -> str:
        """The path without the query."""
        return self.path.partition("?")[0]

    @property
    def posts_prompt(self) -> bool:
        """Whether the request submits a prompt."""
        return self.method == "POST" and self.route in {"/prompt", "/api/prompt"}


@dataclass(frozen=True, slots=True)
class TextFrame:
    """A text frame: its type, and its data."""

    kind: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    """A binary frame. Event 1 is a preview, 3 is a text, and 4 is a preview with `metadata`."""

    event: int
    metadata: JsonObject
    payload: bytes


Frame = TextFrame | BinaryFrame


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request and its response, or None when there was none."""

    request: RecordedRequest
    response: RecordedResponse | None


@dataclass(frozen=True, slots=True)
class ClientConnects:
    """A client connects. `idle` is True when the queue was empty, by the first status."""

    client: str
    path: str
    accepted: bool
    idle: bool = False


@dataclass(frozen=True, slots=True)
class ClientSends:
    """A client sends a text frame."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A client receives a frame."""

    client: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class ClientLeaves:
    """A client closes its WebSocket. With `abort`, it closes the TCP connection without a close frame."""

    client: str
    abort: bool


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The server closed the WebSocket."""

    client: str
    code: int


@dataclass(frozen=True, slots=True)
class RecorderNote:
    """A note of the recorder about something outside the protocol."""

    text: str


Action = HttpExchange | ClientConnects | ClientSends | ClientLeaves | RecorderNote
Event = Action | ReceivedFrame | ConnectionLost


@dataclass(frozen=True, slots=True)
class Moment:
    """An event and its circumstances.

    `pause_s` is the time without events before it. `busy` is True while a prompt runs. `behind` is the prompt that must
    have started before this event, because this event's prompt would run before it otherwise.
    """

    event: Event
    pause_s: float
    busy: bool = False
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recorded session."""

    name: str
    moments: tuple[Moment, ...]

    @property
    def events(self) -> list[Event]:
        """The events of all moments."""
        return [moment.event for moment in self.moments]


def decode_text(text: str) -> Frame:
    """Return the frame of a WebSocket text message."""
    frame = orjson.loads(text)
    return TextFrame(frame["type"], frame["data"])


def decode_binary(data: bytes) -> Frame:
    """Decode a binary frame.

    It starts with the event as a big-endian u32. Then follow the image format as u32 (event 1), or a u32 length with
    a node id (event 3) or a JSON header (event 4).
    """
    event, number = struct.unpack_from(">II", data)
    rest = data[8:]
    if event == 1:
        return BinaryFrame(event, {"format": number}, rest)
    head = rest[:number]
    return BinaryFrame(event, {"node_id": head.decode()} if event == 3 else orjson.loads(head), rest[number:])
