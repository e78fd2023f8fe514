"""pysssss (Custom Scripts): choices with a preview image, repeaters, and texts that only the browser has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode, Graph, UiNode, Value
from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules
from worker.workflow.editor.subgraphs.flat_node import conversion_error

_CHOICES = {"LoraLoader|pysssss": "lora_name", "CheckpointLoader|pysssss": "ckpt_name"}
_REPEATER = "Repeater|pysssss"
_COPIES_NODES = "the browser copies the node before it when the workflow is queued"
_ONLY_IN_BROWSER = "its text is stored in the browser and not in the file"


def add_links(graphs: Sequence[Graph]) -> None:
    """Move the links of the outputs of pysssss's Repeater to its first output, because its class has only one.

    With the output mode "multi" the editor shows several outputs.
    """
    for graph in graphs:
        for link in graph.links.values():
            origin = graph.nodes.get(link.origin)
            if origin and origin.type == _REPEATER and _value(origin, "output") == "multi":
                link.origin_slot = 0


def _value(node: UiNode, name: str) -> Value:
    """Return the value of the field with this name, or None if the node does not have it."""
    widget = node.widget(name)
    return widget.value if widget else None


def change_inputs(outgoing: OutgoingNode) -> None:
    """Replace the value of a pysssss loader, which has a preview image, by the filename in it.

    Raises CannotConvert for a Repeater that copies nodes in the browser.
    """
    copies_nodes = outgoing.node.type == _REPEATER and outgoing.inputs.get("node_mode") == "create"
    if copies_nodes and outgoing.inputs.get("repeats") != 1:
        raise conversion_error(
            outgoing.flat_node, _COPIES_NODES, "node_mode", "Choose 'reuse', or export the workflow in API format."
        )
    name = _CHOICES.get(outgoing.node.type, "")
    value = outgoing.inputs.get(name) if name else None
    if isinstance(value, dict) and "content" in value:
        outgoing.inputs[name] = value["content"]


CUSTOM_SCRIPTS: Final = PackRules(
    "pysssss",
    browser_nodes={"PresetText|pysssss": BrowserNode(refused=_ONLY_IN_BROWSER)},
    add_links=add_links,
    change_inputs=change_inputs,
)
