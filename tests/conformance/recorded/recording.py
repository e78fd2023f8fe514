"""Reader for the recordings of a real ComfyUI, which are in the folder named by SHARED_DATA."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from tests.conformance.comparison.names import prompt_of
from tests.conformance.recorded.transcript import (
    ClientConnects,
    ClientLeaves,
    ClientSends,
    ConnectionLost,
    Event,
    FormField,
    Frame,
    HttpExchange,
    Moment,
    ReceivedFrame,
    RecordedBody,
    RecordedRequest,
    RecordedResponse,
    RecorderNote,
    TextFrame,
    Transcript,
    decode_binary,
)

FOLDER = "transcripts-0.33.0"


def load(path: Path) -> Transcript:
    """Read one recording. Raises FileNotFoundError."""
    recorded = orjson.loads(path.read_bytes())
    moments: list[Moment] = []
    last = 0.0
    for entry in recorded["events"]:
        event = _event(entry)
        if event is not None:
            moments.append(Moment(event, max(0.0, entry["t"] - last)))
            if not isinstance(event, RecorderNote):
                last = entry.get("t_response", entry["t"])
    return Transcript(recorded["name"], tuple(_with_jobs(list(_without_strangers(moments)))))


def _with_jobs(moments: list[Moment]) -> Iterator[Moment]:
    """Mark the moments during which a prompt ran, and those that had to follow another prompt's start."""
    posted: dict[str, int] = {}
    ended: dict[str, int] = {}
    for index, moment in enumerate(moments):
        for prompt in _accepted(moment.event):
            posted.setdefault(prompt, index)
        for prompt in posted.keys() & _seen_to_end(moment.event):
            ended[prompt] = index
    for index, moment in enumerate(moments):
        event = moment.event
        if isinstance(event, ClientConnects):
            event = replace(event, idle=_is_idle(event.client, moments[index:]))
        busy = any(start < index < ended.get(prompt, 0) for prompt, start in posted.items())
        yield replace(moment, event=event, busy=busy, behind=_overtaken(moments, index))


def _overtaken(moments: list[Moment], index: int) -> str:
    """Return the prompt submitted just before one with a chosen number, if it started first nevertheless."""
    event = moments[index].event
    body = event.request.json if isinstance(event, HttpExchange) and event.request.posts_prompt else None
    if not isinstance(body, dict) or not body.keys() & {"number", "front"}:
        return ""
    before = [prompt for moment in moments[:index] for prompt in _accepted(moment.event)]
    starts = (moment.event.frame for moment in moments[index:] if isinstance(moment.event, ReceivedFrame))
    first = next((prompt_of(frame) for frame in starts if _kind(frame) == "execution_start"), "")
    return first if before[-1:] == [first] else ""


def _is_idle(client: str, moments: list[Moment]) -> bool:
    """Return whether the queue was empty when the client connected, by its first status."""
    received = (moment.event for moment in moments if isinstance(moment.event, ReceivedFrame))
    first = next((event.frame for event in received if event.client == client), None)
    return isinstance(first, TextFrame) and first.data["status"] == {"exec_info": {"queue_remaining": 0}}


def _accepted(event: Event) -> set[str]:
    """Return the id of the prompt that this event submitted, as a set, or an empty set."""
    if not (
        isinstance(event, HttpExchange) and event.request.posts_prompt and event.response and event.response.is_json
    ):
        return set()
    answer = event.response.body.json
    return {str(answer["prompt_id"])} if isinstance(answer, dict) and "prompt_id" in answer else set()


def _seen_to_end(event: Event) -> set[str]:
    """Return the prompts that this event shows as ended: the last frame of a prompt, or a history entry."""
    if isinstance(event, ReceivedFrame) and isinstance(event.frame, TextFrame) and event.frame.kind == "executing":
        return {str(event.frame.data.get("prompt_id"))} if event.frame.data["node"] is None else set()
    if (
        isinstance(event, HttpExchange)
        and "/history/" in event.request.path
        and event.response
        and event.response.is_json
    ):
        answer = event.response.body.json
        return set(answer) if isinstance(answer, dict) else set()
    return set()


def _without_strangers(moments: list[Moment]) -> Iterator[Moment]:
    """Remove the frames of prompts of another session, and the status frames about them.

    One recording started while 50 such prompts were queued.
    """
    own = {prompt for moment in moments for prompt in _accepted(moment.event)}
    strange = [index for index, moment in enumerate(moments) if _is_strange(moment.event, own)]
    last = max(strange, default=-1)
    posted = True
    for index, moment in enumerate(moments):
        posted = posted or isinstance(moment.event, HttpExchange)
        if index > last or not isinstance(moment.event, ReceivedFrame) or _kind(moment.event.frame) == "feature_flags":
            yield moment
        elif _kind(moment.event.frame) == "status" and posted:
            posted = False
            yield moment


def _is_strange(event: Event, own: set[str]) -> bool:
    """Return whether a frame belongs to a prompt of another session."""
    return isinstance(event, ReceivedFrame) and bool(prompt_of(event.frame)) and prompt_of(event.frame) not in own


def _kind(frame: Frame) -> str:
    return frame.kind if isinstance(frame, TextFrame) else "binary"


def _event(entry: Mapping[str, Any]) -> Event | None:
    read = READERS.get(entry["kind"])
    return read(entry) if read else None


def _http(entry: Mapping[str, Any]) -> Event:
    response = entry.get("response")
    return HttpExchange(_request(entry["request"]), _response(response) if response else None)


def _connect(entry: Mapping[str, Any]) -> Event:
    path = "/" + entry["url"].split("/", 3)[3]
    return ClientConnects(entry["client"], path, entry.get("status") == 101)


def _frame(entry: Mapping[str, Any]) -> Event:
    client = entry["client"]
    if entry["dir"] == "client->server":
        return ClientSends(client, entry["text"] if "text" in entry else orjson.dumps(entry["json"]).decode())
    if "binary" in entry:
        return ReceivedFrame(client, decode_binary(base64.b64decode(entry["binary"]["base64"])))
    return ReceivedFrame(client, TextFrame(entry["json"]["type"], entry["json"]["data"]))


def _request(entry: Mapping[str, Any]) -> RecordedRequest:
    headers = dict(entry.get("headers", {}))
    body: bytes | None = None
    if "json" in entry:
        body = orjson.dumps(entry["json"])
        headers.setdefault("Content-Type", "application/json")
    elif "body" in entry:
        body = entry["body"].encode()
    parts = tuple(_part(part) for part in entry.get("multipart", ()))
    return RecordedRequest(entry["method"], entry["path"], headers, body, parts)


def _part(entry: Mapping[str, Any]) -> FormField:
    if "filename" not in entry:
        return FormField(entry["name"], entry["value"].encode())
    content = entry["content"]
    # One upload was too large for the recording. It consists of zeros.
    data = base64.b64decode(content["base64"]) if "base64" in content else bytes(content["len"])
    return FormField(entry["name"], data, entry["filename"], entry["content_type"])


def _response(entry: Mapping[str, Any]) -> RecordedResponse:
    content: bytes | None = b""
    if "json" in entry:
        content = orjson.dumps(entry["json"])
    elif "text" in entry:
        content = entry["text"].encode()
    elif "body" in entry:
        kept = entry["body"].get("base64")
        content = None if kept is None else base64.b64decode(kept)
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    return RecordedResponse(entry["status"], headers, RecordedBody(entry["body_len"], content))


READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "http": _http,
    "ws_connect": _connect,
    "ws": _frame,
    "ws_client_close": lambda entry: ClientLeaves(entry["client"], abort=False),
    "ws_client_abort": lambda entry: ClientLeaves(entry["client"], abort=True),
    "ws_close": lambda entry: ConnectionLost(entry["client"], entry["code"]),
    "note": lambda entry: RecorderNote(entry["text"]),
}
"""Readers by kind of entry. `ws_client_closed` is ignored, because the recorder did not wait for the server's close."""
