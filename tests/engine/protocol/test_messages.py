"""Frames as ComfyUI sends them become facts; anything else becomes nothing."""

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
    """Only the first status of a connection carries the sid."""
    info = {"exec_info": {"queue_remaining": 2}}
    assert parse_text(frame("status", status=info, sid="A")) == Status(2, "A")
    assert parse_text(frame("status", status=info)) == Status(2)


def test_end_of_a_run_is_a_node_of_none() -> None:
    """`executing` with node null ends the run; the one sent after a reconnect names no prompt and is dropped."""
    assert parse_text(frame("executing", node=None, prompt_id="p")) == Executing("p", None)
    assert parse_text(frame("executing", node="3")) is None


def test_executed_without_output() -> None:
    """A cached node may report null."""
    assert parse_text(frame("executed", node="2", output=None, prompt_id="p")) == Executed("p", "2", {})


def test_error_keeps_its_type() -> None:
    """Classification reads the type, never the message."""
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
def test_what_tells_nothing_is_none(text: str) -> None:
    """Unknown, broken and deliberately ignored frames never raise."""
    assert parse_text(text) is None


def test_progress() -> None:
    """Steps come as value of maximum."""
    assert parse_text(frame("progress", value=3, max=20, prompt_id="p", node="4")) == Progress("p", "4", 3, 20)


def test_preview_with_its_metadata() -> None:
    """Event 4: length, header, picture; big-endian."""
    header = json.dumps({"node_id": "4", "prompt_id": "p", "image_type": "image/jpeg"}).encode()
    data = struct.pack(">II", 4, len(header)) + header + b"JPEG"
    assert parse_binary(data) == Preview("p", "4", "image/jpeg", b"JPEG")


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x00\x04", struct.pack(">II", 1, 1) + b"x", struct.pack(">II", 4, 99) + b"{"]
)
def test_other_binaries_are_none(data: bytes) -> None:
    """Previews that name no prompt can't be told apart and are dropped; broken ones too."""
    assert parse_binary(data) is None


def test_numbers_that_json_does_not_have() -> None:
    """ComfyUI writes NaN where a node reports it; the frame counts all the same."""
    found = parse_text('{"type": "executed", "data": {"prompt_id": "a", "node": "1", "output": {"value": [NaN]}}}')
    assert isinstance(found, Executed)
    assert math.isnan(found.output["value"][0])
