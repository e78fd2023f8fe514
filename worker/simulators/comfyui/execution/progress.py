"""The progress of each node of the running prompt, and the frames that report it."""

from __future__ import annotations

from dataclasses import dataclass

from worker.simulators.comfyui.server import frames
from worker.simulators.comfyui.server.frames import PreviewFormat
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.settings import PREVIEW_METHODS

METADATA_FLAG = "supports_preview_metadata"


def preview_method(requested: object, default: str) -> str:
    """Return a prompt's `preview_method`, or the engine's default when it is not a valid method."""
    return requested if isinstance(requested, str) and requested in PREVIEW_METHODS else default


@dataclass(frozen=True, slots=True)
class PreviewImage:
    """An encoded preview image of a node that runs."""

    kind: PreviewFormat
    data: bytes


class NodeProgress:
    """Progress of the nodes of one prompt. Each change is sent as a `progress_state` with all nodes started so far."""

    def __init__(self, hub: Hub, prompt_id: str, client_id: str | None) -> None:
        self._hub = hub
        self._prompt_id = prompt_id
        self._client_id = client_id
        self._nodes: dict[str, dict[str, object]] = {}

    def start(self, node_id: str) -> None:
        """Report that a node started."""
        self._set(node_id, 0.0, 1.0, "running")
        self._send_state()

    def update(self, node_id: str, value: int, total: int, preview: PreviewImage | None = None) -> None:
        """Report one step of a node.

        A preview is sent before `progress` to clients that support metadata, and after it to others, as in ComfyUI.
        """
        self._set(node_id, value, total, "running")
        self._send_state()
        supports_metadata = self._hub.supports(self._client_id, METADATA_FLAG)
        if preview is not None and supports_metadata:
            frame = frames.preview_with_metadata(preview.kind, preview.data, node_id, self._prompt_id)
            self._hub.send_binary(frame, self._client_id)
        step = {"value": value, "max": total, "prompt_id": self._prompt_id, "node": node_id}
        self._hub.send("progress", step, self._client_id)
        if preview is not None and not supports_metadata:
            self._hub.send_binary(frames.preview(preview.kind, preview.data), self._client_id)

    def finish(self, node_id: str) -> None:
        """Report that a node finished. A cached node that never started counts as 1 of 1."""
        total = self._nodes[node_id]["max"] if node_id in self._nodes else 1
        self._set(node_id, total, total, "finished")
        self._send_state()

    def _set(self, node_id: str, value: object, total: object, state: str) -> None:
        """Store the state of one node in the form of `progress_state`."""
        self._nodes[node_id] = {
            "value": value,
            "max": total,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }

    def _send_state(self) -> None:
        """Send the state of all nodes that have started."""
        self._hub.send("progress_state", {"prompt_id": self._prompt_id, "nodes": self._nodes}, self._client_id)
