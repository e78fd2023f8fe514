"""The frames of one prompt as ComfyUI's clients expect them, made from the events of its job. Pure.

A job may run again after its engine was lost, and another run may write missing files. The client sees one run: a
start, each node once, and one end.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import Any

from worker.api.comfy.encoding import json_bytes
from worker.errors import JobCancelled, NodeFailed, OutOfMemory, RemovedByOperator, WorkerError
from worker.events import (
    ImageSent,
    NodeExecuted,
    NodesCached,
    NodeStarted,
    PreviewReady,
    RunEnded,
    StateChanged,
    StepDone,
)
from worker.job import JobState
from worker.workflow.prompt import Prompt

Json = dict[str, Any]
PREVIEW, PREVIEW_WITH_METADATA = 1, 4
"""ComfyUI's codes of binary frames."""
JPEG, PNG = 1, 2
"""ComfyUI's codes of the formats of images."""


@dataclass(frozen=True, slots=True)
class TextFrame:
    """A text frame. `everyone` means that ComfyUI also sends it if the prompt has no client."""

    type: str
    data: Json
    everyone: bool = False

    def encoded(self) -> str:
        """Return the text on the wire."""
        return json_bytes({"type": self.type, "data": self.data}).decode()


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """A binary frame with an image of a node."""

    metadata: Json
    mime: str
    image: bytes

    def encoded(self, *, with_metadata: bool) -> bytes:
        """Return the bytes on the wire: with metadata for clients that support it, else in the older form."""
        if with_metadata:
            header = json_bytes({**self.metadata, "image_type": self.mime})
            return struct.pack(">II", PREVIEW_WITH_METADATA, len(header)) + header + self.image
        return struct.pack(">II", PREVIEW, PNG if self.mime == "image/png" else JPEG) + self.image


Frame = TextFrame | ImageFrame


@dataclass(slots=True)
class ShownProgress:
    """Progress of one node: `value` of `maximum` steps. `display` is the node that the editor shows."""

    display: str
    value: float = 0.0
    maximum: float = 1.0
    finished: bool = False


@dataclass(slots=True)
class PromptFrames:
    """What the client of a prompt was shown, and the next frames.

    Each method returns the frames for one event, which may be none. `listening` is false if no client would receive
    them, so that the largest frames are not made.
    """

    prompt_id: str
    prompt: Prompt
    messages: list[tuple[str, Json]] = field(default_factory=list)
    """Messages of the history: start, cached nodes and end."""
    outputs: dict[str, Json] = field(default_factory=dict)
    """What the nodes have reported, by node id."""
    nodes: dict[str, ShownProgress] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    """Nodes that have run or were cached, in order."""
    current: str | None = None
    """The node that runs."""
    ran: bool = False
    """Whether the run has ended. Later events are about a run that writes missing files."""
    unconfirmed: dict[str, tuple[NodeExecuted, Json]] = field(default_factory=dict)
    """Cached results whose files are not stored yet. If a file is gone, its node runs again and reports another one."""
    image: ImageFrame | None = None
    """An image that waits for the progress of its step, which ComfyUI's clients get around it."""
    repeats: bool = False
    """Whether the job runs again, because its engine was lost."""

    @property
    def started(self) -> bool:
        """Whether the client was told that the run has started."""
        return bool(self.messages)

    def state_changed(self, event: StateChanged) -> list[Frame]:
        """Handle the start of the run. A run that starts again continues where the client saw it last."""
        if event.state is JobState.WAITING and event.previous is JobState.GENERATING:
            self.repeats = True
        if event.state is not JobState.GENERATING or self.started:
            return []
        return [self._message("execution_start", {"prompt_id": self.prompt_id})]

    def cached(self, event: NodesCached) -> list[Frame]:
        """Handle the cached nodes. In a run that starts again, the client knows most of them already."""
        self.executed += [node for node in event.node_ids if node not in self.executed]
        return [] if self._cached_shown or self.ran else [self._cached_message(list(event.node_ids))]

    def node_started(self, event: NodeStarted, *, listening: bool = True) -> list[Frame]:
        """Handle the start of a node, unless the client knows that it has run, was cached, or runs already."""
        node = event.node_id
        if self.ran or node == self.current or node in self.executed:
            return []
        frames = [*self._until_cached(), *self._finish(self.current, listening=listening)]
        self.current = node
        self.nodes[node] = ShownProgress(event.display_node_id or node)
        data = {"node": node, "display_node": self.nodes[node].display, "prompt_id": self.prompt_id}
        return [*frames, *self._progress_state(listening=listening), TextFrame("executing", data)]

    def step_done(self, event: StepDone, *, listening: bool = True) -> list[Frame]:
        """Handle the progress of a node. A run that starts again shows no step twice."""
        progress = self.nodes.get(event.node_id)
        if self.ran or progress is None or progress.finished or (self.repeats and event.value <= progress.value):
            return []
        progress.value, progress.maximum = event.value, event.maximum
        data = {"value": event.value, "max": event.maximum, "prompt_id": self.prompt_id, "node": event.node_id}
        step = TextFrame("progress", data, everyone=True)
        return [*self._progress_state(listening=listening), *self.waiting_image(), step]

    def image_ready(self, event: PreviewReady | ImageSent) -> list[Frame]:
        """Handle an image of a node. It is sent with the step that follows, or before any other frame."""
        earlier = self.waiting_image()
        self.image = ImageFrame(self._node_fields(event.node_id or self.current or ""), event.mime, event.data)
        return earlier

    def waiting_image(self) -> list[Frame]:
        """Return the image that waits to be sent, once."""
        image, self.image = self.image, None
        return [image] if image is not None else []

    def node_executed(self, event: NodeExecuted, output: Json, *, listening: bool = True) -> list[Frame]:
        """Handle the results of a node. `output` is the report with the names that the client is shown.

        Cached results are shown once one of their files was stored.
        """
        if event.node_id not in self.nodes and not self.ran:
            self.unconfirmed[event.node_id] = event, output
            return []
        self.unconfirmed.pop(event.node_id, None)
        return self._results(event, output, listening=listening)

    def output_stored(self, node: str, *, listening: bool = True) -> list[Frame]:
        """Handle that an output of a node was stored."""
        results = self.unconfirmed.pop(node, None)
        return self._results(*results, listening=listening) if results else []

    def _results(self, event: NodeExecuted, output: Json, *, listening: bool) -> list[Frame]:
        """Return the frames for the results of a node, unless the client has them."""
        node = event.node_id
        if self.outputs.get(node) == output:
            return []
        self.outputs[node] = output
        if node not in self.nodes:
            self.nodes[node] = ShownProgress(event.display_node_id or node, 1, 1)
        display = self.nodes[node].display
        data = {"node": node, "display_node": display, "output": output, "prompt_id": self.prompt_id}
        frames = [*self._until_cached(), TextFrame("executed", data)]
        if self.nodes[node].finished:  # reported again, because its file was written again
            return frames
        if node not in self.executed:
            self.executed.append(node)
        self.nodes[node].finished = True
        return [*frames, *self._progress_state(listening=listening)]

    def run_ended(self, event: RunEnded) -> list[Frame]:
        """Handle the end of the run inside ComfyUI."""
        self.ran = self.ran or event.succeeded
        return []

    def finished(self, error: WorkerError | None, *, listening: bool = True) -> list[Frame]:
        """Handle the end of the job, with its error if it has failed. The client gets at least a start and an end."""
        frames = self._until_cached()
        for node in list(self.unconfirmed):
            frames += self.output_stored(node, listening=listening)
        if error is None:
            frames += self._finish(self.current, listening=listening)
            return [*frames, self._message("execution_success", {"prompt_id": self.prompt_id})]
        named = (detail.node_id for detail in error.details if detail.node_id)
        node = next(named, self.current or "")
        data: Json = {
            "prompt_id": self.prompt_id,
            "node_id": node,
            "node_type": self.prompt[node]["class_type"] if node in self.prompt else "",
            "executed": list(self.executed),
        }
        if isinstance(error, JobCancelled | RemovedByOperator):
            return [*frames, self._message("execution_interrupted", data)]
        state = {"current_inputs": {}, "current_outputs": list(self.outputs)}
        return [*frames, self._message("execution_error", data | error_fields(error) | state)]

    def executing(self) -> TextFrame | None:
        """Return the frame with which ComfyUI greets a client whose prompt runs, or None without a running node."""
        return TextFrame("executing", {"node": self.current}) if self.current else None

    @property
    def over(self) -> TextFrame:
        """The last frame of a prompt. The history is complete before."""
        return TextFrame("executing", {"node": None, "prompt_id": self.prompt_id})

    @property
    def meta(self) -> Json:
        """The `meta` of the history: the nodes that have reported, and where they are in the workflow."""
        names = {"node_id": "node_id", "display_node": "display_node_id", "parent_node": "parent_node_id"}
        names["real_node_id"] = "real_node_id"
        fields = {node: self._node_fields(node) for node in self.outputs}
        return {node: {theirs: item[ours] for theirs, ours in names.items()} for node, item in fields.items()}

    @property
    def _cached_shown(self) -> bool:
        """Whether the client was told which nodes were cached."""
        return any(kind == "execution_cached" for kind, _ in self.messages)

    def _until_cached(self) -> list[Frame]:
        """Return the frames of the start that the client has not got yet."""
        frames: list[Frame] = []
        if not self.started:
            frames.append(self._message("execution_start", {"prompt_id": self.prompt_id}))
        if not self._cached_shown:
            frames.append(self._cached_message([]))
        return frames

    def _cached_message(self, nodes: list[str]) -> TextFrame:
        return self._message("execution_cached", {"nodes": nodes, "prompt_id": self.prompt_id})

    def _message(self, kind: str, data: Json) -> TextFrame:
        """Return a frame that is also in the history."""
        data = {**data, "timestamp": int(time.time() * 1000)}
        self.messages.append((kind, data))
        return TextFrame(kind, data, everyone=kind == "execution_interrupted")

    def _finish(self, node: str | None, *, listening: bool) -> list[Frame]:
        """Return the frames for the end of a node that reports nothing."""
        if node is None or self.nodes[node].finished:
            return []
        progress = self.nodes[node]
        progress.value, progress.finished = progress.maximum, True
        if node not in self.executed:
            self.executed.append(node)
        return self._progress_state(listening=listening)

    def _progress_state(self, *, listening: bool) -> list[Frame]:
        """Return the frame with the progress of all nodes so far."""
        if not listening:
            return []
        nodes = {
            node: {
                "value": progress.maximum if progress.finished else progress.value,
                "max": progress.maximum,
                "state": "finished" if progress.finished else "running",
                **self._node_fields(node),
            }
            for node, progress in self.nodes.items()
        }
        return [TextFrame("progress_state", {"prompt_id": self.prompt_id, "nodes": nodes}, everyone=True)]

    def _node_fields(self, node: str) -> Json:
        """Return the fields that name a node. A node of an expanded one has that as its parent."""
        display = self.nodes[node].display if node in self.nodes else node
        parent = display if display != node else None
        ids = {"display_node_id": display, "parent_node_id": parent, "real_node_id": display}
        return {"node_id": node, "prompt_id": self.prompt_id, **ids}


def error_fields(error: WorkerError) -> Json:
    """Return type and message of the exception of a job that has failed. There is no traceback: it names paths."""
    kind, message = error.code, error.message
    if isinstance(error, NodeFailed | OutOfMemory) and error.details:
        kind, _, message = error.details[0].message.partition(": ")
    return {"exception_message": message, "exception_type": kind, "traceback": []}
