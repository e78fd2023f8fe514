"""Which types of slots go together, and through which input a bypassed node hands on what it would have made."""

from __future__ import annotations

from worker.graph.ui.live import UiNode

_ANY = ("", "*")


def fit(one: str, other: str) -> bool:
    """Equal, one of them any, or lists (`IMAGE,MASK`) that share a type; case doesn't count."""
    if one in _ANY or other in _ANY or one == other:
        return True
    ours, theirs = one.lower().split(","), other.lower().split(",")
    return any(a in _ANY or b in _ANY or a == b for a in ours for b in theirs)


def bypass_slot(node: UiNode, output: int, wanted: str) -> int | None:
    """The input that takes the place of an output, for a target of type `wanted`; None where none fits."""
    inputs = node.inputs
    if wanted in _ANY:
        return (output if output < len(inputs) else 0) if inputs else None
    made = node.outputs[output] if 0 <= output < len(node.outputs) else ""
    if 0 <= output < len(inputs) and fit(inputs[output].type, made) and fit(inputs[output].type, wanted):
        return output
    exact = next((index for index, slot in enumerate(inputs) if slot.type == wanted), None)
    if exact is not None:
        return exact
    return next((index for index, slot in enumerate(inputs) if fit(slot.type, made) and fit(slot.type, wanted)), None)
