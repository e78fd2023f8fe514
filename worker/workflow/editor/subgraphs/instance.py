"""An instance of a subgraph: its slots are the subgraph's, and some show a field from inside, with their own value."""

from __future__ import annotations

from dataclasses import replace

from worker.workflow.editor.editor_graph import Graph, Port, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import choices_of
from worker.workflow.editor.saved import SavedNode
from worker.workflow.json_value import Json

COMBO = "COMBO"


def promote(node: UiNode, subgraph: Graph, saved: SavedNode) -> None:
    """Rebuild the slots from the subgraph; what was saved gives links by name and values in order."""
    by_name = {slot.name: slot for slot in saved.inputs}
    for port in subgraph.inputs:
        old = by_name.get(port.name)
        node.inputs.append(Slot(port.name, port.type, old.link if old else None))
    node.outputs = [port.type for port in subgraph.outputs]
    values = saved.values if isinstance(saved.values, list) else []
    given = 0
    for slot, port in zip(node.inputs, subgraph.inputs, strict=True):
        source = shown_field(subgraph, port)
        if source is not None:
            show(slot, source, source.value)
            if given < len(values):
                give(slot, values[given])
            given += 1


def show(slot: Slot, source: Widget, value: Value) -> None:
    """Let a slot stand for a field from inside, with this value to begin with."""
    slot.widget = slot.name
    slot.promoted = replace(source, name=slot.name, value=value, sent=False)


def give(slot: Slot, value: Json) -> None:
    """Set an instance's own value; null in a combo is its first choice."""
    if slot.promoted is None:
        return
    spec = slot.promoted.spec
    choices = choices_of(spec) if value is None and spec and slot.promoted.kind == COMBO else []
    slot.promoted.value = choices[0] if choices else value


def shown_field(subgraph: Graph, port: Port) -> Widget | None:
    """The first field that an input of a subgraph is linked to inside."""
    for link_id in port.links:
        end = subgraph.target(link_id)
        field = end[0].widget_of(end[1]) if end else None
        if field is not None:
            return field
    return None
