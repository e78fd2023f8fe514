"""The frames of one client in an order that does not depend on chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from tests.conformance.comparison.media import describe
from tests.conformance.comparison.names import prompt_of
from tests.conformance.recorded.transcript import BinaryFrame, Frame, TextFrame
from worker.workflow.json_value import Json, JsonObject

ENDS = "end"
NODES = "(nodes)"
"""Replaces the node frames of a prompt of which one client got only a part, because their number depends on time."""


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """One frame in comparable form: `key` names the event, and `data` is its content."""

    key: str
    data: Json = None


@dataclass(slots=True)
class _Job:
    """The node frames of the prompt that runs, by node. Independent nodes run in random order."""

    blocks: dict[str, list[FrameEntry]] = field(default_factory=dict)
    states: JsonObject = field(default_factory=dict)
    node: str = ""

    def drain(self, *, partly: bool) -> list[FrameEntry]:
        """Return the collected frames sorted by node, and start anew."""
        entries = [entry for node in sorted(self.blocks) for entry in self.blocks[node]]
        if partly and entries:
            entries = [FrameEntry(NODES), *(entry for entry in entries if entry.key.startswith("executed"))]
        self.blocks.clear()
        self.states = {}
        return entries


def overlapping(frames: Iterable[Frame]) -> bool:
    """Return whether a prompt was queued behind another one, so that the position of status frames is random."""
    return any(_remaining(frame) > 1 for frame in frames)


def partial(frames: Sequence[Frame]) -> set[str]:
    """Return the prompts that were interrupted, or of which the client got only some frames."""
    kinds: dict[str, set[str]] = {}
    for frame in frames:
        if isinstance(frame, TextFrame) and prompt_of(frame):
            ends = frame.kind == "executing" and frame.data["node"] is None
            kinds.setdefault(prompt_of(frame), set()).add(ENDS if ends else frame.kind)
    return {prompt for prompt, kinds_seen in kinds.items() if _is_partial(kinds_seen)}


def arranged(frames: Sequence[Frame], partly: set[str], *, statuses: bool) -> list[FrameEntry]:
    """Return the frames with node frames sorted by node, and with those of prompts in `partly` replaced by one entry.

    Without `statuses`, only the status frames just before the end of a prompt are kept.
    """
    entries: list[FrameEntry] = []
    job = _Job()
    prompt = ""
    for frame, following in zip_longest(frames, frames[1:]):
        if prompt_of(frame) and prompt_of(frame) != prompt:
            entries += job.drain(partly=prompt in partly)
            prompt = prompt_of(frame)
        node = _node(frame, job)
        if node:
            job.blocks.setdefault(node, []).append(_node_entry(frame, job, node))
            job.node = node
        elif _is_kept(frame, following, statuses=statuses):
            # The response to feature flags in the middle of a prompt may come a few frames later.
            entries += [] if _is_flags(frame) else job.drain(partly=prompt in partly)
            entries.append(_entry(frame))
    return entries + job.drain(partly=prompt in partly)


def _is_partial(kinds_seen: set[str]) -> bool:
    if "execution_interrupted" in kinds_seen:
        return True
    owned = "executing" in kinds_seen or "execution_start" in kinds_seen
    return owned and not {"execution_start", ENDS} <= kinds_seen


def _remaining(frame: Frame) -> int:
    if not isinstance(frame, TextFrame) or frame.kind != "status":
        return 0
    status: Any = frame.data["status"]
    return int(status["exec_info"]["queue_remaining"])


def _is_flags(frame: Frame) -> bool:
    return isinstance(frame, TextFrame) and frame.kind == "feature_flags"


def _is_kept(frame: Frame, following: Frame | None, *, statuses: bool) -> bool:
    if not isinstance(frame, TextFrame):
        return True
    if frame.kind == "logs":
        return False  # log lines depend on the machine
    ends = isinstance(following, TextFrame) and following.kind == "executing" and following.data["node"] is None
    return frame.kind != "status" or statuses or ends or "sid" in frame.data


def _node(frame: Frame, job: _Job) -> str:
    """Return the node of a frame, or an empty string."""
    if isinstance(frame, BinaryFrame):
        return str(frame.metadata.get("node_id", job.node))
    if frame.kind == "progress_state":
        return next(iter(_changed(frame, job)), job.node)
    if frame.kind in {"progress", "executed"} or (frame.kind == "executing" and "prompt_id" in frame.data):
        return str(frame.data["node"] or "")
    return ""


def _changed(frame: TextFrame, job: _Job) -> JsonObject:
    """Return the nodes whose state differs from the previous `progress_state`."""
    nodes = frame.data["nodes"]
    assert isinstance(nodes, dict)
    return {node: state for node, state in nodes.items() if job.states.get(node) != state}


def _node_entry(frame: Frame, job: _Job, node: str) -> FrameEntry:
    if isinstance(frame, BinaryFrame):
        return _entry(frame)
    if frame.kind != "progress_state":
        return FrameEntry(f"{frame.kind} {node}", frame.data)
    changed, nodes = _changed(frame, job), frame.data["nodes"]
    assert isinstance(nodes, dict)
    cumulative = job.states.keys() <= nodes.keys()
    job.states = nodes
    return FrameEntry(f"progress_state {node}", {"nodes": changed, "cumulative": cumulative})


def _entry(frame: Frame) -> FrameEntry:
    if isinstance(frame, BinaryFrame):
        return FrameEntry(f"binary {frame.event}", {**frame.metadata, "payload": describe(frame.payload)})
    if frame.kind == "executing":
        node = frame.data["node"]
        return FrameEntry(f"executing {node if node is None else '<any>'}", {**frame.data, "node": None})
    return FrameEntry(frame.kind, frame.data)
