"""Which types of slots go together, and through which input a bypassed node hands on what it would have made."""

from __future__ import annotations

from worker.workflow.editor.editor_graph import INSIDE, Graph, Slot, UiNode

_ANY = ("", "*")


def fit(one: str, other: str) -> bool:
    """Equal, one of them any, or lists (`IMAGE,MASK`) that share a type; case doesn't count."""
    if one in _ANY or other in _ANY or one == other:
        return True
    ours, theirs = one.lower().split(","), other.lower().split(",")
    return any(a in _ANY or b in _ANY or a == b for a in ours for b in theirs)


def settle_matches(graph: Graph) -> None:
    """Slots that have to be of one type take it from what is linked into the others of their group."""
    for node in graph.nodes.values():
        for names in node.matched.values():
            group = [slot for slot in node.inputs if slot.name in names]
            linked = [_linked_type(graph, slot) for slot in group]
            for place, slot in enumerate(group):
                slot.type = _common([*linked[:place], *linked[place + 1 :], slot.type]) or slot.type


def _linked_type(graph: Graph, slot: Slot) -> str:
    link = graph.links.get(slot.link) if slot.link is not None else None
    if link is None:
        return "*"
    if link.origin == INSIDE:
        types = [port.type for port in graph.inputs]
    else:
        types = graph.nodes[link.origin].outputs if link.origin in graph.nodes else []
    return types[link.origin_slot] if 0 <= link.origin_slot < len(types) else "*"


def _common(types: list[str]) -> str:
    """What all allow, in the order of the first; empty where there is nothing."""
    narrow = [kind.split(",") for kind in types if kind not in _ANY]
    if not narrow:
        return "*"
    return ",".join(kind for kind in narrow[0] if all(kind in other for other in narrow))


def bypass_slot(node: UiNode, output: int, wanted: str) -> int | None:
    """The input that takes the place of an output, for a target of type `wanted`; None where none fits."""
    inputs = node.inputs
    if wanted in _ANY:
        return (output if 0 <= output < len(inputs) else 0) if inputs else None
    made = node.outputs[output] if 0 <= output < len(node.outputs) else ""
    if 0 <= output < len(inputs) and fit(inputs[output].type, made) and fit(inputs[output].type, wanted):
        return output
    exact = next((index for index, slot in enumerate(inputs) if slot.type == wanted), None)
    if exact is not None:
        return exact
    return next((index for index, slot in enumerate(inputs) if fit(slot.type, made) and fit(slot.type, wanted)), None)
