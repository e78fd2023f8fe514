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
_DRAWN_SEEDS = (-1, -2, -3)  # random, last seed plus one, last seed minus one, which are random without a last seed
_PROMPTS = frozenset(
    {
        *("Power Prompt (rgthree)", "Power Prompt - Simple (rgthree)", "SDXL Power Prompt - Positive (rgthree)"),
        "SDXL Power Prompt - Simple / Negative (rgthree)",
    }
)
_HEADER = "PowerLoraLoaderHeaderWidget"
_SEPARATE = "Separate Model & Clip"
_FALSE_TEXTS = ("false", "null", "none", "", "0")


def set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of the classes whose script adds or removes fields."""
    name = shape.node.type
    if not name.endswith(_SUFFIX):
        return False
    values = _in_order(saved.values)
    if name == _LORAS:
        _set_loras(shape.node, list(saved.values.values()) if isinstance(saved.values, dict) else values)
    elif name == _PRIMITIVE:
        _set_primitive(shape.node, values)
    elif name == _PUTER:
        _set_puter(shape.node, values)
    elif name in _PROMPTS:
        _hide_fields(shape.node)
        set_in_order(shape, values)
    elif name == _SEED:
        shape.node.widgets = [widget for widget in shape.node.widgets if widget.kind != "control"]
        set_in_order(shape, values[:1])
    else:
        return False
    return True


def _in_order(values: Json) -> list[Value]:
    """Return the values in order. Of an object only the values under numbers count."""
    if isinstance(values, dict):
        return [value for key, value in values.items() if key.isdecimal()]
    return list(values) if isinstance(values, list) else []


def _set_loras(node: UiNode, values: Sequence[Value]) -> None:
    """Add a field for each value with a `lora`. The strength of the clip is sent only if the node shows it."""
    separate = node.properties.get("Show Strengths") == _SEPARATE
    unused: list[Value] = []
    for value in values:
        if not isinstance(value, dict) or "lora" not in value:
            unused += [] if isinstance(value, dict) and value.get("type") == _HEADER else [value]
            continue
        lora = {key: part for key, part in value.items() if key != "strengthTwo"}
        if separate:
            second = value.get("strengthTwo")
            lora["strengthTwo"] = 1 if second is None else second
        node.widgets.append(Widget(f"lora_{len(node.widgets) + 1}", "lora", lora))
    warn_of_unused_values(node, unused)


def _set_primitive(node: UiNode, values: Sequence[Value]) -> None:
    """Add the type and the value of a Power Primitive."""
    kind = values[0] if values and isinstance(values[0], str) else "STRING"
    kind = "BOOLEAN" if kind == "BOOL" else kind
    value = values[1] if len(values) > 1 else None
    node.widgets += [Widget("type", "combo", kind), Widget("value", "primitive", _converted(kind, value))]
    warn_of_unused_values(node, values[2:])


def _converted(kind: str, value: Value) -> Value:
    """Return the value converted to the type of a Power Primitive."""
    if kind in ("INT", "FLOAT"):
        number = to_js_number(value) if isinstance(value, int | float | str) else None
        return 0 if number is None else number
    if kind == "BOOLEAN":
        return value.lower() not in _FALSE_TEXTS if isinstance(value, str) else bool(value)
    return "" if value is None else value


def _set_puter(node: UiNode, values: Sequence[Value]) -> None:
    """Add the output types and the code of a Power Puter. Older files have one output type, as text."""
    outputs = values[0] if values else None
    if not isinstance(outputs, dict):
        outputs = {"outputs": [outputs if isinstance(outputs, str) else "STRING"]}
    code = values[1] if len(values) > 1 else None
    node.widgets.append(Widget("outputs", "outputs", outputs))
    node.widgets.append(Widget("code", "code", code if isinstance(code, str) else ""))
    warn_of_unused_values(node, values[2:])


def _hide_fields(node: UiNode) -> None:
    """Remove the fields that a Power Prompt does not show. Their slots stay, because links may feed them."""
    hidden = {widget.name for widget in node.widgets if not _is_shown_in_prompt(widget)}
    node.widgets = [widget for widget in node.widgets if widget.name not in hidden]
    for slot in node.inputs:
        slot.widget = None if slot.widget in hidden else slot.widget


def _is_shown_in_prompt(widget: Widget) -> bool:
    """Return whether a Power Prompt shows a field. It shows lists that have entries, and it shows no sizes."""
    if widget.name.startswith("insert_"):
        choices = widget.spec.options or () if widget.spec else ()
        return len(choices) > 2 or (len(choices) == 2 and not str(choices[1]).lower().startswith("disable "))
    return not widget.name.startswith(("target_", "crop_", "values_"))


def add_links(graphs: Sequence[Graph]) -> None:
    """Warn about random unmuters: the editor would enable one of their inputs when the workflow is queued."""
    for graph in graphs:
        for node in graph.nodes.values():
            if node.type == _UNMUTER and node.browser:
                sources = list(_linked_nodes(graph, node))
                if sources and all(source.mode == MUTED for source in sources):
                    node.warn(
                        f"the editor would enable one of its {len(sources)} muted inputs at random: none is enabled"
                    )


def _linked_nodes(graph: Graph, node: UiNode) -> Iterator[UiNode]:
    """Yield the nodes that are linked into a node."""
    for slot in node.inputs:
        link = graph.links.get(slot.link) if slot.link is not None else None
        if link and link.origin in graph.nodes:
            yield graph.nodes[link.origin]


def change_inputs(outgoing: OutgoingNode) -> None:
    """Report the seed field if the node would draw its seed in the browser."""
    if outgoing.node.type == _SEED and outgoing.inputs.get("seed") in _DRAWN_SEEDS:
        low, high = _seed_limit(outgoing.node, "randomMin", 0), _seed_limit(outgoing.node, "randomMax", _SEED_LIMIT)
        outgoing.seeds.append(SeedField(outgoing.flat_node.id, "seed", min(low, high), high))


def _seed_limit(node: UiNode, name: str, default: int) -> int:
    """Return a property of the node as a limit of its seeds."""
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
