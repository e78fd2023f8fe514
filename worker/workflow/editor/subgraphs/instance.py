"""Instances of subgraphs. Their slots come from the subgraph, and some show an inner field with an own value."""

from __future__ import annotations

from dataclasses import replace

from worker.workflow.editor.editor_graph import Graph, Port, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import choices_of
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.json_value import Json

COMBO = "COMBO"


def build_instance(node: UiNode, subgraph: Graph, saved: SavedNode) -> None:
    """Give a subgraph instance the slots and outputs of its subgraph, with the saved links by name.

    A slot that is linked to a field inside shows that field. The saved values belong to these slots, in order.
    """
    saved_slots = {slot.name: slot for slot in saved.inputs}
    for port in subgraph.inputs:
        saved_slot = saved_slots.get(port.name)
        node.inputs.append(Slot(port.name, port.type, saved_slot.link if saved_slot else None))
    node.outputs = [port.type for port in subgraph.outputs]
    values = saved.values if isinstance(saved.values, list) else []
    value_index = 0
    for slot, port in zip(node.inputs, subgraph.inputs, strict=True):
        inner_field = promoted_field(subgraph, port)
        if inner_field is not None:
            promote_field(slot, inner_field, inner_field.value)
            if value_index < len(values):
                set_instance_value(slot, values[value_index])
            value_index += 1


def promote_field(slot: Slot, inner_field: Widget, value: Value) -> None:
    """Let a slot of a subgraph instance show a field of an inner node, with `value` as the instance's own value."""
    slot.widget = slot.name
    slot.promoted = replace(inner_field, name=slot.name, value=value, is_sent=False)


def set_instance_value(slot: Slot, value: Json) -> None:
    """Set the instance's own value of the inner field that a slot shows. A slot that shows none stays as it is.

    In a combo None means the first choice.
    """
    if slot.promoted is None:
        return
    spec = slot.promoted.spec
    choices = choices_of(spec) if value is None and spec and slot.promoted.kind == COMBO else []
    slot.promoted.value = choices[0] if choices else value


def promoted_field(subgraph: Graph, port: Port) -> Widget | None:
    """Return the first field of an inner node that an input of a subgraph is linked to, or None."""
    for link_id in port.links:
        target = subgraph.link_target(link_id)
        if target is None:
            continue
        node, slot = target
        field = node.widget_of(slot)
        if field is not None:
            return field
    return None
