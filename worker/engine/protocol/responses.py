"""ComfyUI's HTTP responses as immutable data, validated when they are read. Pure.

The shapes were recorded from ComfyUI 0.9.1 and 0.33.0. Another shape raises UnexpectedShape, which the caller reports
as an engine that does not respond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.engine.protocol.messages import (
    ExecutionError,
    UnexpectedShape,
    execution_error,
    read_timestamp,
    require_object,
    require_text,
)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A prompt in ComfyUI's queue: the classes of its nodes by node id, and the client that receives its frames."""

    prompt_id: str
    classes: Mapping[str, str]
    client_id: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A prompt that has ended: the outputs of its nodes, and its error if it failed.

    `cached` are the nodes that ComfyUI did not run. `started_at` and `ended_at` are ComfyUI's clock in milliseconds
    since the epoch.
    """

    outputs: dict[str, dict[str, Any]]
    error: ExecutionError | None
    interrupted: bool
    cached: tuple[str, ...] = ()
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """ComfyUI's messages about a prompt that it rejects, completely or in part."""

    error: Mapping[str, Any]
    node_errors: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EngineStats:
    """ComfyUI's version, device, version of torch and command line (`argv`).

    `gpu_bytes` and `machine_bytes` are the sizes of the memories, or 0 if they are not known.
    """

    version: str
    device: str
    argv: tuple[str, ...]
    torch: str = ""
    gpu_bytes: float = 0.0
    machine_bytes: float = 0.0


def read_queue(answer: object) -> tuple[list[QueueItem], list[QueueItem]]:
    """Return the running and the waiting prompts of `GET /queue`. Raises UnexpectedShape."""
    queue = require_object(answer)
    running, pending = ([_queue_item(item) for item in _list(queue, key)] for key in ("queue_running", "queue_pending"))
    return running, pending


def _queue_item(item: object) -> QueueItem:
    """Read an item of the form `[number, prompt_id, prompt, extra_data, outputs, ...]`. Raises UnexpectedShape."""
    match item:
        case [_, str(prompt_id), dict(prompt), *more]:
            extra = more[0] if more and isinstance(more[0], dict) else {}
            classes = {str(node_id): str(require_object(node).get("class_type")) for node_id, node in prompt.items()}
            return QueueItem(prompt_id, classes, str(extra.get("client_id", "")))
    raise UnexpectedShape("an item of the queue has another shape")


def read_history(answer: object, prompt_id: str) -> HistoryEntry | None:
    """Return the entry in a response of `GET /history/{prompt_id}`, or None for a prompt that has not ended.

    Raises UnexpectedShape.
    """
    entry = require_object(answer).get(prompt_id)
    if not entry:
        return None
    outputs = require_object(require_object(entry).get("outputs") or {})
    messages = _optional_list(require_object(require_object(entry).get("status") or {}).get("messages"))
    data_by_type = dict(map(_message, messages))
    error = data_by_type.get("execution_error")
    end = error or data_by_type.get("execution_interrupted") or data_by_type.get("execution_success") or {}
    return HistoryEntry(
        {str(node): dict(require_object(output or {})) for node, output in outputs.items()},
        error=execution_error(error) if error is not None else None,
        interrupted="execution_interrupted" in data_by_type,
        cached=tuple(map(str, _optional_list(data_by_type.get("execution_cached", {}).get("nodes")))),
        started_at=read_timestamp(data_by_type.get("execution_start", {})),
        ended_at=read_timestamp(end),
    )


def _message(item: object) -> tuple[str, Mapping[str, Any]]:
    """Return type and data of a message in a history entry. Raises UnexpectedShape."""
    match item:
        case [str(name), dict(data)]:
            return name, data
    raise UnexpectedShape("a message of the history has another shape")


def read_submission(status: int, answer: object) -> Refusal | None:
    """Return the refusal in a response of `POST /prompt`, or None when the whole prompt was accepted.

    With status 200 and `node_errors`, ComfyUI has accepted a part of the prompt and dropped the other outputs. This is
    a refusal, too. Raises UnexpectedShape for other responses.
    """
    body = require_object(answer)
    problems = body.get("node_errors") or {}
    error = body.get("error") or {}
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(problems, dict) or not isinstance(error, dict):
        raise UnexpectedShape("`error` or `node_errors` is not an object")
    if status == 200 and not problems and not error:
        require_text(body, "prompt_id")
        return None
    if status not in {200, 400} and not (problems or error):
        raise UnexpectedShape(f"POST /prompt returned HTTP {status}")
    return Refusal(error, problems)


def read_stats(answer: object) -> EngineStats:
    """Return the facts of `GET /system_stats`. Raises UnexpectedShape."""
    stats = require_object(answer)
    system = require_object(stats.get("system"))
    devices = stats.get("devices") or []
    device = require_object(devices[0]) if isinstance(devices, list) and devices else {}
    argv = system.get("argv")
    return EngineStats(
        require_text(system, "comfyui_version"),
        str(device.get("name")) if device else "none",
        tuple(argv) if isinstance(argv, list) else (),
        str(system.get("pytorch_version", "")),
        _bytes(device.get("vram_total")),
        _bytes(system.get("ram_total")),
    )


def _bytes(value: object) -> float:
    """Return a number of bytes, 0 for anything else."""
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def read_upload(answer: object) -> str:
    """Return the name under which nodes find the file of `POST /upload/image`. Raises UnexpectedShape."""
    stored = require_object(answer)
    return "/".join(part for part in (require_text(stored, "subfolder"), require_text(stored, "name")) if part)


def _optional_list(value: object) -> list[Any]:
    """Return a list, an empty one for a missing value. Raises UnexpectedShape for anything else."""
    if not isinstance(value or [], list):
        raise UnexpectedShape(f"{type(value).__name__} instead of a list")
    return value if isinstance(value, list) else []


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    """Return the list under a key. Raises UnexpectedShape for anything else."""
    value = data.get(key)
    if not isinstance(value, list):
        raise UnexpectedShape(f"{key!r} is not a list")
    return value
