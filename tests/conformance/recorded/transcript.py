"""A session with a ComfyUI as typed events: what was asked, what was answered, what each client heard."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from worker.workflow.json_value import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Body:
    """What a response held. Of more than 64 KiB a recording keeps only the number of bytes (`content` None)."""

    length: int
    content: bytes | None = b""

    @property
    def json(self) -> Json:
        """Raises orjson.JSONDecodeError when it isn't JSON or wasn't kept."""
        parsed: Json = orjson.loads(self.content or b"")
        return parsed


@dataclass(frozen=True, slots=True)
class Response:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Body

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/json") and bool(self.body.content)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart body; a file has a `filename`."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    parts: tuple[Part, ...] = ()

    @property
    def json(self) -> Json:
        """The body, or None if it isn't JSON."""
        try:
            parsed: Json = orjson.loads(self.body or b"")
        except orjson.JSONDecodeError:
            return None
        return parsed

    @property
    def route(self) -> str:
        return self.path.partition("?")[0]

    @property
    def posts_prompt(self) -> bool:
        return self.method == "POST" and self.route in {"/prompt", "/api/prompt"}


@dataclass(frozen=True, slots=True)
class TextFrame:
    """`kind` is the frame's type; `data` what it carries."""

    kind: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    """`event` 1 is a bare preview, 3 a text, 4 a preview with `metadata`."""

    event: int
    metadata: JsonObject
    payload: bytes


Frame = TextFrame | BinaryFrame


@dataclass(frozen=True, slots=True)
class Http:
    """`response` None: nobody answered."""

    request: Request
    response: Response | None


@dataclass(frozen=True, slots=True)
class Connect:
    """`idle`: the queue was empty by then, as the first status said."""

    client: str
    path: str
    accepted: bool
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    client: str
    text: str


@dataclass(frozen=True, slots=True)
class Received:
    client: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Leave:
    """The client closes its socket, or (`abort`) drops the connection without a word."""

    client: str
    abort: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The server's end of the socket went away."""

    client: str
    code: int


@dataclass(frozen=True, slots=True)
class Note:
    text: str


Action = Http | Connect | Send | Leave | Note
Event = Action | Received | Lost


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, the seconds of silence before it, whether a job was under way that ended later, and the prompt that
    must have started before, for this one would overtake it."""

    event: Event
    pause_s: float
    busy: bool = False
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    name: str
    moments: tuple[Moment, ...]

    @property
    def events(self) -> list[Event]:
        return [moment.event for moment in self.moments]


def decode_text(text: str) -> Frame:
    frame = orjson.loads(text)
    return TextFrame(frame["type"], frame["data"])


def decode_binary(data: bytes) -> Frame:
    """Big-endian: u32 event, then u32 image format (1), or u32 length and a node id (3) or a JSON header (4)."""
    event, number = struct.unpack_from(">II", data)
    rest = data[8:]
    if event == 1:
        return BinaryFrame(event, {"format": number}, rest)
    head = rest[:number]
    return BinaryFrame(event, {"node_id": head.decode()} if event == 3 else orjson.loads(head), rest[number:])
