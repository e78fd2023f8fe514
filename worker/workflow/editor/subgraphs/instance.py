"""Instances of subgraphs. Their slots come from the subgraph, and some show an inner field with an own value."""

from __future__ import annotations

from dataclasses import replace

from worker.workflow.editor.editor_graph import Graph, Port, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import choices_of
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.json_value import Json

COMBO = "COMBO"


def build_instance(node: UiNode, subgraph: Graph, saved: SavedNode) -> None:
    """Give an instance the slots of its subgraph, with the saved links by name and the saved values in order."""
    saved_slots = {slot.name: slot for slot in saved.inputs}
    for port in subgraph.inputs:
        saved_slot = saved_slots.get(port.name)
        node.inputs.append(Slot(port.name, port.type, saved_slot.link if saved_slot else None))
    node.outputs = [port.type for port in subgraph.outputs]
    values = saved.values if isinstance(saved.values, list) else []
    value_index = 0
    for slot, port in zip(node.inputs, subgraph.inputs, strict=True):
        source = promoted_field(subgraph, port)
        if source is not None:
            promote_field(slot, source, source.value)
            if value_index < len(values):
                set_instance_value(slot, values[value_index])
            value_index += 1


def promote_field(slot: Slot, source: Widget, value: Value) -> None:
    """Let a slot of an instance show an inner field, with this initial value."""
    slot.widget = slot.name
    slot.promoted = replace(source, name=slot.name, value=value, is_sent=False)


def set_instance_value(slot: Slot, value: Json) -> None:
    """Set the instance's own value of a shown field. In a combo null means the first choice."""
    if slot.promoted is None:
        return
    spec = slot.promoted.spec
    choices = choices_of(spec) if value is None and spec and slot.promoted.kind == COMBO else []
    slot.promoted.value = choices[0] if choices else value


def promoted_field(subgraph: Graph, port: Port) -> Widget | None:
    """Return the first inner field that an input of a subgraph is linked to, or None."""
    for link_id in port.links:
        target = subgraph.link_target(link_id)
        field = target[0].widget_of(target[1]) if target else None
        if field is not None:
            return field
    return None
