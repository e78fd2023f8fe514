"""Numbers that a prompt gives, directly or through a link to a node that only holds one."""

from __future__ import annotations

import math

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt

LARGEST = 1e6  # keeps products of wild values finite
HOLDERS = ("value", "int", "float", "number", "Number")  # what nodes that hold a number call it
FARTHEST = 8  # links from a number to where it stands


def plain_number(value: Json) -> float | None:
    """Read a finite number from 0 to `LARGEST`, also from a text as ComfyUI does; None for anything else."""
    if isinstance(value, str) and len(value) < 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(min(max(value, 0), LARGEST))


def number(prompt: Prompt, node: Node, *names: str) -> float | None:
    """Return the first of these inputs that is a number, looking through links to nodes that hold one."""
    inputs = node["inputs"]
    for name in names:
        if name in inputs and (value := _follow(prompt, inputs[name], name, FARTHEST)) is not None:
            return value
    return None


def _follow(prompt: Prompt, value: Json, name: str, hops: int) -> float | None:
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            if "on_true" in inputs and "on_false" in inputs:
                return _switched(prompt, inputs, name, hops - 1)
            held = next((held for held in (name, *HOLDERS) if held in inputs), None)
            return _follow(prompt, inputs[held], name, hops - 1) if held else None
    return plain_number(value)


def _switched(prompt: Prompt, inputs: dict[str, Json], name: str, hops: int) -> float | None:
    """The branch that a switch takes; the larger number where nothing tells which."""
    branches = {branch: _follow(prompt, inputs[branch], name, hops) for branch in ("on_true", "on_false")}
    switch = _held_switch(prompt, inputs.get("switch"), hops)
    if switch is not None:
        return branches["on_true" if switch else "on_false"]
    return max((value for value in branches.values() if value is not None), default=None)


def _held_switch(prompt: Prompt, value: Json, hops: int) -> bool | None:
    match value:
        case [str(source), int()] if hops and source in prompt:
            inputs = prompt[source]["inputs"]
            held = next((held for held in ("value", "boolean", "switch") if held in inputs), None)
            return _held_switch(prompt, inputs[held], hops - 1) if held else None
    return value if isinstance(value, bool) else None
