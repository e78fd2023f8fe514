"""Types of slots: which ones are compatible, and which input a bypassed node passes on in place of an output."""

from __future__ import annotations

from worker.workflow.editor.editor_graph import INSIDE, Graph, Slot, UiNode

_ANY = ("", "*")


def are_compatible(first: str, second: str) -> bool:
    """Return whether two slot types can be linked, ignoring case.

    A type is a name, a list of names such as `IMAGE,MASK`, or `*` for any type. Two lists need one name in common.
    """
    if first in _ANY or second in _ANY or first == second:
        return True
    first_names, second_names = first.lower().split(","), second.lower().split(",")
    return any(a in _ANY or b in _ANY or a == b for a in first_names for b in second_names)


def resolve_match_types(graph: Graph) -> None:
    """Set the types of slots that must match: each slot gets the type that is linked into the others of its group.

    A slot keeps its type if no type satisfies all of them.
    """
    for node in graph.nodes.values():
        for names in node.match_groups.values():
            group = [slot for slot in node.inputs if slot.name in names]
            linked = [_linked_type(graph, slot) for slot in group]
            for index, slot in enumerate(group):
                linked_to_others = [*linked[:index], *linked[index + 1 :]]
                slot.type = _common_type([*linked_to_others, slot.type]) or slot.type


def _linked_type(graph: Graph, slot: Slot) -> str:
    """Return the type of the output that is linked into a slot, or `*` if there is none or its type is unknown."""
    link = graph.links.get(slot.link) if slot.link is not None else None
    if link is None:
        return "*"
    if link.origin == INSIDE:
        types = [port.type for port in graph.inputs]
    else:
        types = graph.nodes[link.origin].outputs if link.origin in graph.nodes else []
    return types[link.origin_slot] if 0 <= link.origin_slot < len(types) else "*"


def _common_type(types: list[str]) -> str:
    """Return the type names that all slot types contain, in the order of the first type, such as `IMAGE,MASK`.

    Return `*` if each of them allows any type, and an empty text if they have no name in common.
    """
    specific = [kind.split(",") for kind in types if kind not in _ANY]
    if not specific:
        return "*"
    return ",".join(name for name in specific[0] if all(name in names for names in specific))


def bypass_input(node: UiNode, output: int, target_type: str) -> int | None:
    """Return the index of the input that a bypassed node passes on in place of an output, or None if none fits.

    `target_type` is the type of the input that the output is linked to. The input with the index of the output is
    preferred, then one whose type is exactly `target_type`, then the first that fits.
    """
    inputs = node.inputs
    if target_type in _ANY:
        return (output if 0 <= output < len(inputs) else 0) if inputs else None
    output_type = node.outputs[output] if 0 <= output < len(node.outputs) else ""
    fitting = [
        index
        for index, slot in enumerate(inputs)
        if are_compatible(slot.type, output_type) and are_compatible(slot.type, target_type)
    ]
    if output in fitting:
        return output
    exact = [index for index, slot in enumerate(inputs) if slot.type == target_type]
    return next(iter((*exact, *fitting)), None)
