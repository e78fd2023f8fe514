"""Reads numbers from inputs of a prompt, directly or through links to nodes that hold a number."""

from __future__ import annotations

import math

from worker.workflow.json_value import Json
from worker.workflow.linked_values.math_expression import evaluate
from worker.workflow.prompt import Node, Prompt

LARGEST = 1e6  # keeps products of extreme values finite
NUMBER_INPUTS = ("value", "int", "float", "number", "Number")  # inputs of nodes that hold a number
VALUES = "values."
MOST_VALUES = 4  # maximum number of values of an expression that are looked up; each may be an expression itself
FARTHEST = 8  # maximum number of links to follow


def plain_number(value: Json) -> float | None:
    """Return a value as a number, limited to the range from 0 to `LARGEST`, or None if it is no number.

    Like ComfyUI, accepts a number that is written as a text.
    """
    if isinstance(value, str) and len(value) < 32:  # a longer text is a prompt, not a number
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(min(max(value, 0), LARGEST))


def number(prompt: Prompt, node: Node, *names: str) -> float | None:
    """Return the value of the first of the inputs `names` that is a number, or None if none is.

    A linked input counts too, if the link leads to a node that holds a number.
    """
    for name in names:
        if name in node["inputs"]:
            value = _linked_number(prompt, node["inputs"][name], name, FARTHEST)
            if value is not None:
                return value
    return None


def boolean(prompt: Prompt, node: Node, name: str) -> bool | None:
    """Return the boolean that an input has, directly or through links, or None if it is not known."""
    return _linked_boolean(prompt, node["inputs"].get(name), FARTHEST)


def _linked_number(prompt: Prompt, value: Json, name: str, hops: int) -> float | None:
    """Return the number that an input has directly, or through at most `hops` links. Return None if there is none.

    In a linked node, an input that is also called `name` is preferred.
    """
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            if "on_true" in inputs and "on_false" in inputs:
                return _switch_number(prompt, inputs, name, hops - 1)
            expression = inputs.get("expression")
            if isinstance(expression, str):
                return _expression_number(prompt, inputs, expression, hops // 2)
            source_input = next((key for key in (name, *NUMBER_INPUTS) if key in inputs), None)
            return _linked_number(prompt, inputs[source_input], name, hops - 1) if source_input else None
    return plain_number(value)


def _switch_number(prompt: Prompt, inputs: dict[str, Json], name: str, hops: int) -> float | None:
    """Return the number of the branch that a switch node selects, or None if the branch has no number.

    `inputs` are the inputs of the switch node. If its selection is unknown, return the larger number of both branches.
    """
    branches = {branch: _linked_number(prompt, inputs[branch], name, hops) for branch in ("on_true", "on_false")}
    switch = _linked_boolean(prompt, inputs.get("switch"), hops)
    if switch is not None:
        return branches["on_true" if switch else "on_false"]
    return max((value for value in branches.values() if value is not None), default=None)


def _expression_number(prompt: Prompt, inputs: dict[str, Json], expression: str, hops: int) -> float | None:
    """Return the result of a math node, whose inputs `values.a`, `values.b`, ... are the names in its expression.

    Return None if it uses a value that is not known. `hops` is less than half of those of the caller, because each
    value may be another expression.
    """
    names = [name for name in inputs if name.startswith(VALUES)]
    linked = {
        name.removeprefix(VALUES): _linked_number(prompt, inputs[name], name, hops) for name in names[:MOST_VALUES]
    }
    return plain_number(evaluate(expression, {name: value for name, value in linked.items() if value is not None}))


def _linked_boolean(prompt: Prompt, value: Json, hops: int) -> bool | None:
    """Return the boolean that an input has directly, or through at most `hops` links. Return None if there is none."""
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            source_input = next((key for key in ("value", "boolean", "switch") if key in inputs), None)
            return _linked_boolean(prompt, inputs[source_input], hops - 1) if source_input else None
    return value if isinstance(value, bool) else None
