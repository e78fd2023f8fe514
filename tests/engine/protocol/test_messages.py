"""Tests of reading ComfyUI's WebSocket frames."""

from __future__ import annotations

import json
import math
import struct

import pytest

from worker.engine.protocol.messages import (
    Executed,
    Executing,
    ExecutionError,
    Preview,
    Progress,
    Status,
    parse_binary,
    parse_text,
)


def frame(kind: str, **data: object) -> str:
    return json.dumps({"type": kind, "data": data})


def test_status_with_and_without_sid() -> None:
    """`parse_text` reads the sid of the first status of a connection."""
    info = {"exec_info": {"queue_remaining": 2}}
    assert parse_text(frame("status", status=info, sid="A")) == Status(2, "A")
    assert parse_text(frame("status", status=info)) == Status(2)


def test_end_of_a_run_is_a_node_of_none() -> None:
    """`parse_text` reads node null as the end of a run, and drops a frame without a prompt."""
    assert parse_text(frame("executing", node=None, prompt_id="p")) == Executing("p", None)
    assert parse_text(frame("executing", node="3")) is None


def test_executed_without_output() -> None:
    """`parse_text` reads a null output as an empty one."""
    assert parse_text(frame("executed", node="2", output=None, prompt_id="p")) == Executed("p", "2", {})


def test_error_keeps_its_type() -> None:
    """`parse_text` keeps the type and the message of an exception."""
    text = frame(
        "execution_error",
        prompt_id="p",
        node_id="4",
        node_type="KSampler",
        exception_type="torch.OutOfMemoryError",
        exception_message="no\n",
        traceback=[],
    )
    assert parse_text(text) == ExecutionError("p", "4", "KSampler", "torch.OutOfMemoryError", "no")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"type": "progress"}',
        '{"type": "progress", "data": {}}',
        '{"type": "assets.seed.paused", "data": {}}',
        '{"type": "status", "data": []}',
        '{"type": "progress_state", "data": {"prompt_id": "p", "nodes": {}}}',
    ],
)
def test_unknown_frames_are_ignored(text: str) -> None:
    """`parse_text` returns None for unknown, broken and ignored frames."""
    assert parse_text(text) is None


def test_progress() -> None:
    """`parse_text` reads value and maximum of a progress frame."""
    assert parse_text(frame("progress", value=3, max=20, prompt_id="p", node="4")) == Progress("p", "4", 3, 20)


def test_preview_with_its_metadata() -> None:
    """`parse_binary` reads prompt, node, type and image of event 4."""
    header = json.dumps({"node_id": "4", "prompt_id": "p", "image_type": "image/jpeg"}).encode()
    data = struct.pack(">II", 4, len(header)) + header + b"JPEG"
    assert parse_binary(data) == Preview("p", "4", "image/jpeg", b"JPEG")


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x00\x04", struct.pack(">II", 1, 1) + b"x", struct.pack(">II", 4, 99) + b"{"]
)
def test_other_binaries_are_none(data: bytes) -> None:
    """`parse_binary` returns None for previews without a prompt and for broken frames."""
    assert parse_binary(data) is None


def test_numbers_that_json_does_not_have() -> None:
    """`parse_text` reads a frame that contains NaN."""
    found = parse_text('{"type": "executed", "data": {"prompt_id": "a", "node": "1", "output": {"value": [NaN]}}}')
    assert isinstance(found, Executed)
    assert math.isnan(found.output["value"][0])
