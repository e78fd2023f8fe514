"""ComfyUI's WebSocket frames as frozen facts, checked where they enter; a frame of another shape is skipped. Pure.

The shapes were recorded from ComfyUI 0.9.1 and 0.33.0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

PREVIEW_WITH_METADATA = 4
"""Binary event code of a preview that says whose it is. The older code 1 names no prompt and can't be told apart."""

IGNORED = '{"type": "progress_state"'
"""Cumulative, so large and frequent in big graphs; `progress` and `executing` say the same."""


@dataclass(frozen=True, slots=True)
class Status:
    """Broadcast to all at each enqueue, dequeue, end and deletion. `sid` only in the first one of a connection."""

    queue_remaining: int
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionStart:
    """`at` is ComfyUI's clock in milliseconds since the epoch, in each message that begins or ends a run."""

    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionCached:
    prompt_id: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Executing:
    """`node` None is the end of the run: only from then on is its history certain to be there."""

    prompt_id: str
    node: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    prompt_id: str
    node: str | None
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Executed:
    prompt_id: str
    node: str
    output: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExecutionSuccess:
    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """`exception_type` is the one field to classify by: the message may hold text that a client wrote."""

    prompt_id: str
    node_id: str
    node_type: str
    exception_type: str
    exception_message: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionInterrupted:
    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    prompt_id: str
    node: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RunsIsolated:
    """Not ComfyUI's: no other prompt of this worker runs right before this one or right after it."""

    prompt_id: str


@dataclass(frozen=True, slots=True)
class FramesLost:
    """Not ComfyUI's: some or all of what it said of this prompt did not arrive."""

    prompt_id: str


RunEnd = ExecutionSuccess | ExecutionError | ExecutionInterrupted
WorkerMessage = RunsIsolated | FramesLost
RunMessage = ExecutionStart | ExecutionCached | Executing | Progress | Executed | Preview | RunEnd | WorkerMessage
Message = Status | RunMessage


class UnexpectedShape(Exception):
    """What ComfyUI sent, or something in its place, does not have the shape that was expected."""


def parse_text(text: str) -> Message | None:
    """None for a frame that tells nothing about a run: newer servers and packs send types of their own."""
    if text.startswith(IGNORED):
        return None
    try:
        frame = parse_json(text)
        read = READERS.get(frame["type"])
        return read(frame["data"]) if read else None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, UnexpectedShape):
        return None


def is_garbled(frame: str | bytes) -> bool:
    """Whether a frame that was read as None should have told something about a run."""
    if isinstance(frame, bytes):
        return len(frame) < 8 or struct.unpack_from(">I", frame)[0] == PREVIEW_WITH_METADATA
    if frame.startswith(IGNORED):
        return False
    try:
        found = require_object(parse_json(frame))
        kind, data = require_text(found, "type"), found.get("data")
    except (ValueError, RecursionError, UnexpectedShape):
        return True
    resent = kind == "executing" and isinstance(data, dict) and "prompt_id" not in data
    return kind in READERS and not resent


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Parse what Python's `json` has written: NaN, Infinity and halves of surrogate pairs may be in it.

    The halves become question marks, as nothing could write them down again. Raises ValueError and RecursionError.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        value = json.loads(text)
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def parse_binary(data: bytes) -> Preview | None:
    """Big-endian u32 event, u32 length of a JSON header, the header, the image."""
    if len(data) < 8:
        return None
    event, length = struct.unpack_from(">II", data)
    if event != PREVIEW_WITH_METADATA:
        return None
    try:
        header = orjson.loads(data[8 : 8 + length])
        node = str(header["node_id"])
        return Preview(require_text(header, "prompt_id"), node, require_text(header, "image_type"), data[8 + length :])
    except (orjson.JSONDecodeError, KeyError, TypeError, UnexpectedShape):
        return None


def require_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object. Raises UnexpectedShape for anything else."""
    if not isinstance(value, dict):
        raise UnexpectedShape(f"{type(value).__name__} instead of an object")
    return value


def require_text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise UnexpectedShape(f"{key!r} is no text")
    return value


def _node(data: Mapping[str, Any]) -> str | None:
    value = data.get("node")
    return value if value is None or isinstance(value, str) else str(value)


def _number(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnexpectedShape(f"{key!r} is no number")
    return value


def _status(data: Mapping[str, Any]) -> Status:
    info = require_object(require_object(data.get("status")).get("exec_info"))
    return Status(
        int(_number(info, "queue_remaining")), require_text(data, "sid") if data.get("sid") is not None else None
    )


def _executing(data: Mapping[str, Any]) -> Executing | None:
    # After a reconnect ComfyUI sends the running node without the prompt it belongs to.
    return Executing(require_text(data, "prompt_id"), _node(data)) if "prompt_id" in data else None


def _executed(data: Mapping[str, Any]) -> Executed:
    return Executed(require_text(data, "prompt_id"), str(data["node"]), require_object(data.get("output") or {}))


def _progress(data: Mapping[str, Any]) -> Progress:
    return Progress(require_text(data, "prompt_id"), _node(data), _number(data, "value"), _number(data, "max"))


def execution_error(data: Mapping[str, Any]) -> ExecutionError:
    """Also read from the messages of a history entry, which hold the same object."""
    return ExecutionError(
        require_text(data, "prompt_id"),
        str(data.get("node_id")),
        str(data.get("node_type")),
        str(data.get("exception_type")),
        str(data.get("exception_message", "")).strip(),
        read_timestamp(data),
    )


def read_timestamp(data: Mapping[str, Any]) -> float | None:
    """Return the `timestamp` of a message; None where an older ComfyUI sends none."""
    return _number(data, "timestamp") if "timestamp" in data else None


READERS: dict[str, Callable[[Mapping[str, Any]], Message | None]] = {
    "status": _status,
    "execution_start": lambda data: ExecutionStart(require_text(data, "prompt_id"), read_timestamp(data)),
    "execution_success": lambda data: ExecutionSuccess(require_text(data, "prompt_id"), read_timestamp(data)),
    "execution_cached": lambda data: ExecutionCached(require_text(data, "prompt_id"), tuple(map(str, data["nodes"]))),
    "executing": _executing,
    "progress": _progress,
    "executed": _executed,
    "execution_error": execution_error,
    "execution_interrupted": lambda data: ExecutionInterrupted(require_text(data, "prompt_id"), read_timestamp(data)),
}
