"""ComfyUI's WebSocket frames as immutable data, validated when they are read. Unknown frames are skipped. Pure.

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
"""Binary event code of a preview with the id of its prompt. Previews of the older code 1 have none and are ignored."""

IGNORED = '{"type": "progress_state"'
"""Start of a frame that is ignored. It is large and frequent, and `progress` and `executing` have the same content."""


@dataclass(frozen=True, slots=True)
class Status:
    """State of the queue, broadcast at each change. Only the first one of a connection has `sid`, the client id."""

    queue_remaining: int
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionStart:
    """Start of a run. `at` is ComfyUI's time in milliseconds since the epoch, as in the messages that end a run."""

    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionCached:
    """Nodes whose results come from ComfyUI's cache."""

    prompt_id: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Executing:
    """Start of a node. If `node` is None, this is the end of the run, after which its history is complete."""

    prompt_id: str
    node: str | None
    display_node: str | None = None
    """Node of the workflow that the editor shows as running. It differs from `node` if a node was expanded."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a node: `value` of `maximum` steps."""

    prompt_id: str
    node: str | None
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Executed:
    """Output of a node, in ComfyUI's shape."""

    prompt_id: str
    node: str
    output: Mapping[str, Any]
    display_node: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionSuccess:
    """Success of a run."""

    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """Failure of a run. Only `exception_type` classifies it, because the message may hold a client's text."""

    prompt_id: str
    node_id: str
    node_type: str
    exception_type: str
    exception_message: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionInterrupted:
    """Interruption of a run."""

    prompt_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """Preview image of a node."""

    prompt_id: str
    node: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RunsIsolated:
    """Message of the worker: no other prompt of it runs right before or right after this one."""

    prompt_id: str


@dataclass(frozen=True, slots=True)
class FramesLost:
    """Message of the worker: some or all frames of this prompt were lost."""

    prompt_id: str


RunEnd = ExecutionSuccess | ExecutionError | ExecutionInterrupted
WorkerMessage = RunsIsolated | FramesLost
RunMessage = ExecutionStart | ExecutionCached | Executing | Progress | Executed | Preview | RunEnd | WorkerMessage
Message = Status | RunMessage


class UnexpectedShape(Exception):
    """A response or frame does not have ComfyUI's shape."""


def parse_text(text: str) -> Message | None:
    """Return the message in a text frame, or None for a frame that is ignored, of an unknown type or unreadable.

    Newer versions and node packs send frames of other types.
    """
    if text.startswith(IGNORED):
        return None
    try:
        frame = parse_json(text)
        reader = READERS.get(frame["type"])
        return reader(frame["data"]) if reader else None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, UnexpectedShape):
        return None


def may_be_run_message(frame: str | bytes) -> bool:
    """Return whether a frame that `parse_text` or `parse_binary` could not read may have been a message of a run."""
    if isinstance(frame, bytes):
        return len(frame) < 8 or struct.unpack_from(">I", frame)[0] == PREVIEW_WITH_METADATA
    if frame.startswith(IGNORED):
        return False
    try:
        message = require_object(parse_json(frame))
        kind, data = require_text(message, "type"), message.get("data")
    except (ValueError, RecursionError, UnexpectedShape):
        return True
    # After a reconnect, ComfyUI repeats `executing` without a prompt id.
    is_repeated = kind == "executing" and isinstance(data, dict) and "prompt_id" not in data
    return kind in READERS and not is_repeated


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON as Python's `json` writes it, with NaN, Infinity and lone surrogates.

    A lone surrogate becomes a question mark, because it cannot be encoded. Raises ValueError and RecursionError.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        value = json.loads(text)
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def parse_binary(data: bytes) -> Preview | None:
    """Return the preview in a binary frame, or None for a frame of another kind or an unreadable one.

    The frame is a big-endian u32 event code, the u32 length of a JSON header, the header and the image.
    """
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
    """Return the string under a key. Raises UnexpectedShape for anything else."""
    value = data.get(key)
    if not isinstance(value, str):
        raise UnexpectedShape(f"the value of {key!r} is not a string")
    return value


def _node(data: Mapping[str, Any], key: str = "node") -> str | None:
    """Return the id of a message's node, or None if it has none."""
    value = data.get(key)
    return value if value is None or isinstance(value, str) else str(value)


def _number(data: Mapping[str, Any], key: str) -> float:
    """Return the number under a key. Raises UnexpectedShape for anything else."""
    value = data.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnexpectedShape(f"{key!r} is not a number")
    return value


def _status(data: Mapping[str, Any]) -> Status:
    info = require_object(require_object(data.get("status")).get("exec_info"))
    client_id = require_text(data, "sid") if data.get("sid") is not None else None
    return Status(int(_number(info, "queue_remaining")), client_id)


def _executing(data: Mapping[str, Any]) -> Executing | None:
    """Return the message, or None if it has no prompt id. ComfyUI sends such a message after a reconnect."""
    if "prompt_id" not in data:
        return None
    return Executing(require_text(data, "prompt_id"), _node(data), _node(data, "display_node"))


def _executed(data: Mapping[str, Any]) -> Executed:
    output = require_object(data.get("output") or {})
    return Executed(require_text(data, "prompt_id"), str(data["node"]), output, _node(data, "display_node"))


def _progress(data: Mapping[str, Any]) -> Progress:
    return Progress(require_text(data, "prompt_id"), _node(data), _number(data, "value"), _number(data, "max"))


def execution_error(data: Mapping[str, Any]) -> ExecutionError:
    """Read the error of a frame, or of a message in a history entry, which has the same shape."""
    return ExecutionError(
        require_text(data, "prompt_id"),
        str(data.get("node_id")),
        str(data.get("node_type")),
        str(data.get("exception_type")),
        str(data.get("exception_message", "")).strip(),
        read_timestamp(data),
    )


def read_timestamp(data: Mapping[str, Any]) -> float | None:
    """Return the `timestamp` of a message, or None if an older ComfyUI sends none."""
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
