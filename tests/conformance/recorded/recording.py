"""Reads the recordings of a real ComfyUI; they lie in the folder that SHARED_DATA names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from tests.conformance.comparison.names import prompt_of
from tests.conformance.recorded.transcript import (
    Body,
    Connect,
    Event,
    Frame,
    Http,
    Leave,
    Lost,
    Moment,
    Note,
    Part,
    Received,
    Request,
    Response,
    Send,
    TextFrame,
    Transcript,
    decode_binary,
)

FOLDER = "transcripts-0.33.0"


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
    return Transcript(recorded["name"], tuple(_with_jobs(list(_without_strangers(moments)))))


def _with_jobs(moments: list[Moment]) -> Iterator[Moment]:
    posted: dict[str, int] = {}
    ended: dict[str, int] = {}
    for index, moment in enumerate(moments):
        for prompt in _accepted(moment.event):
            posted.setdefault(prompt, index)
        for prompt in posted.keys() & _seen_to_end(moment.event):
            ended[prompt] = index
    for index, moment in enumerate(moments):
        event = moment.event
        if isinstance(event, Connect):
            event = replace(event, idle=_is_idle(event.client, moments[index:]))
        busy = any(start < index < ended.get(prompt, 0) for prompt, start in posted.items())
        yield replace(moment, event=event, busy=busy, behind=_overtaken(moments, index))


def _overtaken(moments: list[Moment], index: int) -> str:
    """The prompt posted right before one with a number of its own, if it was the next to start all the same."""
    event = moments[index].event
    asked = event.request.json if isinstance(event, Http) and event.request.posts_prompt else None
    if not isinstance(asked, dict) or not asked.keys() & {"number", "front"}:
        return ""
    before = [prompt for moment in moments[:index] for prompt in _accepted(moment.event)]
    starts = (moment.event.frame for moment in moments[index:] if isinstance(moment.event, Received))
    first = next((prompt_of(frame) for frame in starts if _kind(frame) == "execution_start"), "")
    return first if before[-1:] == [first] else ""


def _is_idle(client: str, moments: list[Moment]) -> bool:
    """The first thing a client hears is how many prompts there are."""
    heard = (moment.event for moment in moments if isinstance(moment.event, Received))
    first = next((event.frame for event in heard if event.client == client), None)
    return isinstance(first, TextFrame) and first.data["status"] == {"exec_info": {"queue_remaining": 0}}


def _accepted(event: Event) -> set[str]:
    if not (isinstance(event, Http) and event.request.posts_prompt and event.response and event.response.is_json):
        return set()
    answer = event.response.body.json
    return {str(answer["prompt_id"])} if isinstance(answer, dict) and "prompt_id" in answer else set()


def _seen_to_end(event: Event) -> set[str]:
    """The prompts that are over by this event: the run's last frame, or a history entry."""
    if isinstance(event, Received) and isinstance(event.frame, TextFrame) and event.frame.kind == "executing":
        return {str(event.frame.data.get("prompt_id"))} if event.frame.data["node"] is None else set()
    if isinstance(event, Http) and "/history/" in event.request.path and event.response and event.response.is_json:
        answer = event.response.body.json
        return set(answer) if isinstance(answer, dict) else set()
    return set()


def _without_strangers(moments: list[Moment]) -> Iterator[Moment]:
    """Leave out the frames of prompts that another session had posted, and the statuses that told of them.

    One recording began while 50 such prompts were still queued.
    """
    own = {prompt for moment in moments for prompt in _accepted(moment.event)}
    strange = [index for index, moment in enumerate(moments) if _is_strange(moment.event, own)]
    last = max(strange, default=-1)
    posted = True
    for index, moment in enumerate(moments):
        posted = posted or isinstance(moment.event, Http)
        if index > last or not isinstance(moment.event, Received) or _kind(moment.event.frame) == "feature_flags":
            yield moment
        elif _kind(moment.event.frame) == "status" and posted:
            posted = False
            yield moment


def _is_strange(event: Event, own: set[str]) -> bool:
    return isinstance(event, Received) and bool(prompt_of(event.frame)) and prompt_of(event.frame) not in own


def _kind(frame: Frame) -> str:
    return frame.kind if isinstance(frame, TextFrame) else "binary"


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
