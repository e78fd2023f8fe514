"""Any other class."""

from __future__ import annotations

from worker.comfyui.embedded.calling import Call, Node, Result
from worker.comfyui.embedded.values import Thing
from worker.graph.node_class import NodeClass


def simulated(node_class: NodeClass) -> Node:
    def node(call: Call) -> Result:
        return Result(tuple(Thing(str(slot.type)) for slot in node_class.outputs))

    return node
