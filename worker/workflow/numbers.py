"""Reads numbers from inputs of a prompt, directly or through links to nodes that hold a number."""

from __future__ import annotations

import math

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt

LARGEST = 1e6  # keeps products of extreme values finite
HOLDERS = ("value", "int", "float", "number", "Number")  # inputs of nodes that hold a number
FARTHEST = 8  # maximum number of links to follow


def plain_number(value: Json) -> float | None:
    """Return a value as a number, clamped to 0 to `LARGEST`, or None. Like ComfyUI, accepts a number in a text."""
    if isinstance(value, str) and len(value) < 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(min(max(value, 0), LARGEST))


def number(prompt: Prompt, node: Node, *names: str) -> float | None:
    """Return the first of these inputs that is a number, or None. Follows links to nodes that hold a number."""
    inputs = node["inputs"]
    for name in names:
        if name in inputs and (value := _follow(prompt, inputs[name], name, FARTHEST)) is not None:
            return value
    return None


def _follow(prompt: Prompt, value: Json, name: str, hops: int) -> float | None:
    """Return the number of an input, following at most `hops` links."""
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            if "on_true" in inputs and "on_false" in inputs:
                return _switched(prompt, inputs, name, hops - 1)
            source_input = next((key for key in (name, *HOLDERS) if key in inputs), None)
            return _follow(prompt, inputs[source_input], name, hops - 1) if source_input else None
    return plain_number(value)


def _switched(prompt: Prompt, inputs: dict[str, Json], name: str, hops: int) -> float | None:
    """Return the number of the branch that a switch selects, or the larger one if the selection is unknown."""
    branches = {branch: _follow(prompt, inputs[branch], name, hops) for branch in ("on_true", "on_false")}
    switch = _held_switch(prompt, inputs.get("switch"), hops)
    if switch is not None:
        return branches["on_true" if switch else "on_false"]
    return max((value for value in branches.values() if value is not None), default=None)


def _held_switch(prompt: Prompt, value: Json, hops: int) -> bool | None:
    """Return the boolean of an input, following at most `hops` links, or None."""
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            source_input = next((key for key in ("value", "boolean", "switch") if key in inputs), None)
            return _held_switch(prompt, inputs[source_input], hops - 1) if source_input else None
    return value if isinstance(value, bool) else None
