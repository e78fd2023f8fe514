"""rgthree: loaders whose fields its script adds, and nodes that switch others on and off in the browser.

What a muter, a repeater or a button did to other nodes is saved with those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import MUTED, BrowserNode, Graph, UiNode, Value, Widget
from worker.workflow.editor.javascript import as_number
from worker.workflow.editor.left_values import warn_of_rest
from worker.workflow.editor.packs.pack import Pack, Sending
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.values import give_in_order
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
_DRAWN = (-1, -2, -3)  # at random, one more than the last, one less: without a last one, at random too
_PROMPTS = frozenset(
    {
        *("Power Prompt (rgthree)", "Power Prompt - Simple (rgthree)", "SDXL Power Prompt - Positive (rgthree)"),
        "SDXL Power Prompt - Simple / Negative (rgthree)",
    }
)
_HEADER = "PowerLoraLoaderHeaderWidget"
_SEPARATE = "Separate Model & Clip"
_FALSE = ("false", "null", "none", "", "0")


def give(shape: Shape, saved: SavedNode) -> bool:
    """Set the fields of the classes whose script adds or removes some."""
    name = shape.node.type
    if not name.endswith(_SUFFIX):
        return False
    values = _listed(saved.values)
    if name == _LORAS:
        _give_loras(shape.node, list(saved.values.values()) if isinstance(saved.values, dict) else values)
    elif name == _PRIMITIVE:
        _give_primitive(shape.node, values)
    elif name == _PUTER:
        _give_puter(shape.node, values)
    elif name in _PROMPTS:
        _hide_fields(shape.node)
        give_in_order(shape, values)
    elif name == _SEED:
        shape.node.widgets = [widget for widget in shape.node.widgets if widget.kind != "control"]
        give_in_order(shape, values[:1])
    else:
        return False
    return True


def _listed(values: Json) -> list[Value]:
    """Values in order; those of an object by its numbers."""
    if isinstance(values, dict):
        return [value for key, value in values.items() if key.isdecimal()]
    return list(values) if isinstance(values, list) else []


def _give_loras(node: UiNode, values: Sequence[Value]) -> None:
    """Take each value with a `lora`; the others are lines and buttons. The clip's strength counts where it is shown."""
    separate = node.properties.get("Show Strengths") == _SEPARATE
    rest: list[Value] = []
    for value in values:
        if not isinstance(value, dict) or "lora" not in value:
            rest += [] if isinstance(value, dict) and value.get("type") == _HEADER else [value]
            continue
        lora = {key: given for key, given in value.items() if key != "strengthTwo"}
        if separate:
            second = value.get("strengthTwo")
            lora["strengthTwo"] = 1 if second is None else second
        node.widgets.append(Widget(f"lora_{len(node.widgets) + 1}", "lora", lora))
    warn_of_rest(node, rest)


def _give_primitive(node: UiNode, values: Sequence[Value]) -> None:
    kind = values[0] if values and isinstance(values[0], str) else "STRING"
    kind = "BOOLEAN" if kind == "BOOL" else kind
    value = values[1] if len(values) > 1 else None
    node.widgets += [Widget("type", "combo", kind), Widget("value", "primitive", _typed(kind, value))]
    warn_of_rest(node, values[2:])


def _typed(kind: str, value: Value) -> Value:
    if kind in ("INT", "FLOAT"):
        number = as_number(value) if isinstance(value, int | float | str) else None
        return 0 if number is None else number
    if kind == "BOOLEAN":
        return value.lower() not in _FALSE if isinstance(value, str) else bool(value)
    return "" if value is None else value


def _give_puter(node: UiNode, values: Sequence[Value]) -> None:
    """The types of its outputs, in older files one as text, and its code."""
    outputs = values[0] if values else None
    if not isinstance(outputs, dict):
        outputs = {"outputs": [outputs if isinstance(outputs, str) else "STRING"]}
    code = values[1] if len(values) > 1 else None
    node.widgets.append(Widget("outputs", "outputs", outputs))
    node.widgets.append(Widget("code", "code", code if isinstance(code, str) else ""))
    warn_of_rest(node, values[2:])


def _hide_fields(node: UiNode) -> None:
    """Take away the fields that a Power Prompt does not show. Their slots stay, for what is linked into them."""
    hidden = {widget.name for widget in node.widgets if not _shown_in_prompt(widget)}
    node.widgets = [widget for widget in node.widgets if widget.name not in hidden]
    for slot in node.inputs:
        slot.widget = None if slot.widget in hidden else slot.widget


def _shown_in_prompt(widget: Widget) -> bool:
    """Whether a Power Prompt shows a field: lists only if there is something to insert, no sizes."""
    if widget.name.startswith("insert_"):
        choices = widget.spec.options or () if widget.spec else ()
        return len(choices) > 2 or (len(choices) == 2 and not str(choices[1]).lower().startswith("disable "))
    return not widget.name.startswith(("target_", "crop_", "values_"))


def link(graphs: Sequence[Graph]) -> None:
    """Warn of nodes that would be switched on at random at the moment of queueing."""
    for graph in graphs:
        for node in graph.nodes.values():
            if node.type == _UNMUTER and node.browser:
                linked = list(_linked(graph, node))
                if linked and all(one.mode == MUTED for one in linked):
                    node.warn(
                        f"the editor would enable one of its {len(linked)} muted inputs at random: none is enabled"
                    )


def _linked(graph: Graph, node: UiNode) -> Iterator[UiNode]:
    for slot in node.inputs:
        link = graph.links.get(slot.link) if slot.link is not None else None
        if link and link.origin in graph.nodes:
            yield graph.nodes[link.origin]


def send(sending: Sending) -> None:
    """Name the seed that the node would draw itself."""
    if sending.node.type == _SEED and sending.inputs.get("seed") in _DRAWN:
        low, high = (_limit(sending.node, name, fallback) for name, fallback in (("randomMin", 0), ("randomMax", None)))
        sending.seeds.append(SeedField(sending.place.id, "seed", min(low, high), high))


def _limit(node: UiNode, name: str, fallback: int | None) -> int:
    value = node.properties.get(name)
    number = int(value) if isinstance(value, int | float) and abs(value) < 2**53 else fallback
    return _SEED_LIMIT if number is None else max(-_SEED_LIMIT, min(_SEED_LIMIT, number))


RGTHREE: Final = Pack(
    "rgthree", browser_nodes=dict.fromkeys(_BROWSER_NODES, BrowserNode()), give=give, link=link, send=send
)
