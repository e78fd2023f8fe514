"""pysssss (Custom Scripts): choices that carry a picture, and texts that are kept in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode, Graph, UiNode, Value
from worker.workflow.editor.packs.pack import Pack, Sending
from worker.workflow.editor.subgraphs.flat import refusal

_CHOICES = {"LoraLoader|pysssss": "lora_name", "CheckpointLoader|pysssss": "ckpt_name"}
_REPEATER, _COPIES = "Repeater|pysssss", "the browser copies the node before it when the job is queued"
_IN_THE_BROWSER = "its text is kept in the browser and not in the file"


def link(graphs: Sequence[Graph]) -> None:
    """Link all outputs of a repeater with several to its one: its class has no more."""
    for graph in graphs:
        for link in graph.links.values():
            origin = graph.nodes.get(link.origin)
            if origin and origin.type == _REPEATER and _value(origin, "output") == "multi":
                link.origin_slot = 0


def _value(node: UiNode, name: str) -> Value:
    widget = node.widget(name)
    return widget.value if widget else None


def send(sending: Sending) -> None:
    """Send the file's name of a choice, without its picture; refuse copies that the browser makes."""
    copies = sending.node.type == _REPEATER and sending.inputs.get("node_mode") == "create"
    if copies and sending.inputs.get("repeats") != 1:
        raise refusal(sending.place, _COPIES, "node_mode", "Choose 'reuse', or export the workflow in API format.")
    name = _CHOICES.get(sending.node.type, "")
    value = sending.inputs.get(name) if name else None
    if isinstance(value, dict) and "content" in value:
        sending.inputs[name] = value["content"]


CUSTOM_SCRIPTS: Final = Pack(
    "pysssss", browser_nodes={"PresetText|pysssss": BrowserNode(refused=_IN_THE_BROWSER)}, link=link, send=send
)
