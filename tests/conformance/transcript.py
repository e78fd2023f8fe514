"""A recorded session of a real ComfyUI as typed events; the recordings lie in the folder SHARED_DATA names."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from worker.graph.json_value import Json, JsonObject

FOLDER = "transcripts-0.33.0"


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
    client: str
    path: str
    accepted: bool


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
    """An event and the seconds of silence before it."""

    event: Event
    pause_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    name: str
    moments: tuple[Moment, ...]

    @property
    def events(self) -> list[Event]:
        return [moment.event for moment in self.moments]


def load(path: Path) -> Transcript:
    """Raises FileNotFoundError."""
    recorded = orjson.loads(path.read_bytes())
    moments: list[Moment] = []
    last = 0.0
    for entry in recorded["events"]:
        event = _event(entry)
        if event is not None:
            moments.append(Moment(event, max(0.0, entry["t"] - last)))
            if not isinstance(event, Note):
                last = entry.get("t_response", entry["t"])
    return Transcript(recorded["name"], tuple(moments))


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


def _event(entry: Mapping[str, Any]) -> Event | None:
    read = READERS.get(entry["kind"])
    return read(entry) if read else None


def _http(entry: Mapping[str, Any]) -> Event:
    response = entry.get("response")
    return Http(_request(entry["request"]), _response(response) if response else None)


def _connect(entry: Mapping[str, Any]) -> Event:
    path = "/" + entry["url"].split("/", 3)[3]
    return Connect(entry["client"], path, entry.get("status") == 101)


def _frame(entry: Mapping[str, Any]) -> Event:
    client = entry["client"]
    if entry["dir"] == "client->server":
        return Send(client, entry["text"] if "text" in entry else orjson.dumps(entry["json"]).decode())
    if "binary" in entry:
        return Received(client, decode_binary(base64.b64decode(entry["binary"]["base64"])))
    return Received(client, TextFrame(entry["json"]["type"], entry["json"]["data"]))


def _request(entry: Mapping[str, Any]) -> Request:
    headers = dict(entry.get("headers", {}))
    body: bytes | None = None
    if "json" in entry:
        body = orjson.dumps(entry["json"])
        headers.setdefault("Content-Type", "application/json")
    elif "body" in entry:
        body = entry["body"].encode()
    parts = tuple(_part(part) for part in entry.get("multipart", ()))
    return Request(entry["method"], entry["path"], headers, body, parts)


def _part(entry: Mapping[str, Any]) -> Part:
    if "filename" not in entry:
        return Part(entry["name"], entry["value"].encode())
    content = entry["content"]
    # The one upload too large to be kept consists of zeros.
    data = base64.b64decode(content["base64"]) if "base64" in content else bytes(content["len"])
    return Part(entry["name"], data, entry["filename"], entry["content_type"])


def _response(entry: Mapping[str, Any]) -> Response:
    content: bytes | None = b""
    if "json" in entry:
        content = orjson.dumps(entry["json"])
    elif "text" in entry:
        content = entry["text"].encode()
    elif "body" in entry:
        kept = entry["body"].get("base64")
        content = None if kept is None else base64.b64decode(kept)
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    return Response(entry["status"], headers, Body(entry["body_len"], content))


READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "http": _http,
    "ws_connect": _connect,
    "ws": _frame,
    "ws_client_close": lambda entry: Leave(entry["client"], abort=False),
    "ws_client_abort": lambda entry: Leave(entry["client"], abort=True),
    "ws_close": lambda entry: Lost(entry["client"], entry["code"]),
    "note": lambda entry: Note(entry["text"]),
}
"""By kind of entry. `ws_client_closed` is left out: the recorder did not wait for the server's farewell."""
