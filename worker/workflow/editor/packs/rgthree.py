"""rgthree: classes whose fields the script adds, seeds that are drawn, and nodes that switch others on and off.

A muter, repeater or button needs no rule: the modes that it set are saved with the other nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import MUTED, BrowserNode, Graph, UiNode, Value, Widget
from worker.workflow.editor.field_values import set_in_order
from worker.workflow.editor.javascript import to_js_number
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.editor.unused_values import warn_of_unused_values
from worker.workflow.json_value import Json

_UNMUTER = "Random Unmuter (rgthree)"
_BROWSER_NODES = (
    *("Label (rgthree)", "Bookmark (rgthree)", "Reroute (rgthree)", "Node Collector (rgthree)"),
    *("Node Combiner (rgthree)", "Mute / Bypass Repeater (rgthree)", "Mute / Bypass Relay (rgthree)", _UNMUTER),
    *("Fast Groups Muter (rgthree)", "Fast Groups Bypasser (rgthree)", "Fast Muter (rgthree)"),
    *("Fast Bypasser (rgthree)", "Fast Actions Button (rgthree)", "Power Conductor (rgthree)"),
)

_SUFFIX = " (rgthree)"
_LORAS, _PRIMITIVE, _PUTER = "Power Lora Loader (rgthree)", "Power Primitive (rgthree)", "Power Puter (rgthree)"
_SEED, _SEED_LIMIT = "Seed (rgthree)", 2**50
_DRAWN_SEEDS = (-1, -2, -3)
"""Seeds that mean: random, last seed plus one, last seed minus one. Without a last seed all are random."""
_PROMPTS = frozenset(
    {
        *("Power Prompt (rgthree)", "Power Prompt - Simple (rgthree)", "SDXL Power Prompt - Positive (rgthree)"),
        "SDXL Power Prompt - Simple / Negative (rgthree)",
    }
)
_HEADER = "PowerLoraLoaderHeaderWidget"
_SHOW_CLIP_STRENGTH = "Separate Model & Clip"
_FALSE_TEXTS = ("false", "null", "none", "", "0")


def set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of a node of rgthree whose script adds or removes fields. Return False for other nodes."""
    name = shape.node.type
    if not name.endswith(_SUFFIX):
        return False
    values = _values_in_order(saved.values)
    if name == _LORAS:
        _set_loras(shape.node, list(saved.values.values()) if isinstance(saved.values, dict) else values)
    elif name == _PRIMITIVE:
        _set_primitive(shape.node, values)
    elif name == _PUTER:
        _set_puter(shape.node, values)
    elif name in _PROMPTS:
        _remove_hidden_fields(shape.node)
        set_in_order(shape, values)
    elif name == _SEED:
        shape.node.widgets = [widget for widget in shape.node.widgets if widget.kind != "control"]
        set_in_order(shape, values[:1])
    else:
        return False
    return True


def _values_in_order(values: Json) -> list[Value]:
    """Return the saved values in order. Of an object only the values whose key is a number are returned."""
    if isinstance(values, dict):
        return [value for key, value in values.items() if key.isdecimal()]
    return list(values) if isinstance(values, list) else []


def _set_loras(node: UiNode, values: Sequence[Value]) -> None:
    """Add a field for each value that describes a LoRA, and warn about other values.

    The strength for the text encoder (`strengthTwo`) is sent only if the node shows it. It is 1 if it was never set.
    """
    shows_clip_strength = node.properties.get("Show Strengths") == _SHOW_CLIP_STRENGTH
    unused: list[Value] = []
    for value in values:
        if isinstance(value, dict) and "lora" in value:
            lora = {key: part for key, part in value.items() if key != "strengthTwo"}
            if shows_clip_strength:
                clip_strength = value.get("strengthTwo")
                lora["strengthTwo"] = 1 if clip_strength is None else clip_strength
            node.widgets.append(Widget(f"lora_{len(node.widgets) + 1}", "lora", lora))
        elif not isinstance(value, dict) or value.get("type") != _HEADER:
            unused.append(value)
    warn_of_unused_values(node, unused)


def _set_primitive(node: UiNode, values: Sequence[Value]) -> None:
    """Add the fields `type` and `value` of a Power Primitive, whose values are in this order. Warn about others."""
    kind = values[0] if values and isinstance(values[0], str) else "STRING"
    kind = "BOOLEAN" if kind == "BOOL" else kind
    value = values[1] if len(values) > 1 else None
    node.widgets += [Widget("type", "combo", kind), Widget("value", "primitive", _converted(kind, value))]
    warn_of_unused_values(node, values[2:])


def _converted(kind: str, value: Value) -> Value:
    """Return the value of a Power Primitive converted to its type `kind`, as the script does.

    None and invalid numbers become 0, False or an empty text.
    """
    if kind in ("INT", "FLOAT"):
        number = to_js_number(value) if isinstance(value, int | float | str) else None
        return 0 if number is None else number
    if kind == "BOOLEAN":
        return value.lower() not in _FALSE_TEXTS if isinstance(value, str) else bool(value)
    return "" if value is None else value


def _set_puter(node: UiNode, values: Sequence[Value]) -> None:
    """Add the fields `outputs` (the output types) and `code` of a Power Puter, whose values are in this order.

    In older files a single output type is saved as a text. Further values cause a warning.
    """
    outputs = values[0] if values else None
    if not isinstance(outputs, dict):
        outputs = {"outputs": [outputs if isinstance(outputs, str) else "STRING"]}
    code = values[1] if len(values) > 1 else None
    node.widgets.append(Widget("outputs", "outputs", outputs))
    node.widgets.append(Widget("code", "code", code if isinstance(code, str) else ""))
    warn_of_unused_values(node, values[2:])


def _remove_hidden_fields(node: UiNode) -> None:
    """Remove the fields that a Power Prompt does not show. Their slots stay as sockets, because links may feed them."""
    hidden = {widget.name for widget in node.widgets if not _is_shown_in_prompt(widget)}
    node.widgets = [widget for widget in node.widgets if widget.name not in hidden]
    for slot in node.inputs:
        slot.widget = None if slot.widget in hidden else slot.widget


def _is_shown_in_prompt(widget: Widget) -> bool:
    """Return whether a Power Prompt shows a field. It shows no sizes, and a list only if it has entries.

    The first choice of a list is its label. A list without entries may have a second one that begins with "disable".
    """
    if widget.name.startswith("insert_"):
        choices = widget.spec.options or () if widget.spec else ()
        return len(choices) > 2 or (len(choices) == 2 and not str(choices[1]).lower().startswith("disable "))
    return not widget.name.startswith(("target_", "crop_", "values_"))


def add_links(graphs: Sequence[Graph]) -> None:
    """Warn about each Random Unmuter: the editor would enable one of its inputs when the workflow is queued.

    No links are added. The rule runs in this step because it needs the loaded graphs.
    """
    for graph in graphs:
        for node in graph.nodes.values():
            if node.type != _UNMUTER or node.browser is None:
                continue
            sources = list(_linked_nodes(graph, node))
            if sources and all(source.mode == MUTED for source in sources):
                node.warn(f"the editor would enable one of its {len(sources)} muted inputs at random: none is enabled")


def _linked_nodes(graph: Graph, node: UiNode) -> Iterator[UiNode]:
    """Yield the nodes whose outputs are linked to the inputs of a node."""
    for slot in node.inputs:
        link = graph.links.get(slot.link) if slot.link is not None else None
        if link and link.origin in graph.nodes:
            yield graph.nodes[link.origin]


def change_inputs(outgoing: OutgoingNode) -> None:
    """Report the seed field of a Seed node whose seed is drawn in the browser. The job then gets a fresh seed."""
    if outgoing.node.type == _SEED and outgoing.inputs.get("seed") in _DRAWN_SEEDS:
        low, high = _seed_limit(outgoing.node, "randomMin", 0), _seed_limit(outgoing.node, "randomMax", _SEED_LIMIT)
        outgoing.seeds.append(SeedField(outgoing.flat_node.id, "seed", min(low, high), high))


def _seed_limit(node: UiNode, name: str, default: int) -> int:
    """Return a limit of the node's seeds: the property with this name, or `default`.

    The limit is always between -2**50 and 2**50.
    """
    value = node.properties.get(name)
    number = int(value) if isinstance(value, int | float) and abs(value) < 2**53 else default
    return max(-_SEED_LIMIT, min(_SEED_LIMIT, number))


RGTHREE: Final = PackRules(
    "rgthree",
    browser_nodes=dict.fromkeys(_BROWSER_NODES, BrowserNode()),
    set_values=set_values,
    add_links=add_links,
    change_inputs=change_inputs,
)
