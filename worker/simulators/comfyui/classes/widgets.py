"""Readers for the inputs of simulated nodes, whose class is known only from the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.node_call import NodeCall

T = TypeVar("T")


def each_input(call: NodeCall) -> Iterator[tuple[str, Value]]:
    """Yield the name and value of each input. A list yields each of its items."""
    for name, value in call.inputs.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


def first_of_type(call: NodeCall, kind: type[T]) -> T | None:
    """Return the first input value of a type, whatever the input's name, or None."""
    return next((value for _, value in each_input(call) if isinstance(value, kind)), None)


def positive_integer(call: NodeCall, name: str, default: int) -> int:
    """Return an integer input, or `default` when it is missing, of another type, or not positive."""
    value = call.inputs.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def positive_number(call: NodeCall, name: str, default: float) -> float:
    """Return a numeric input as a float, or `default` when it is missing, of another type, or not positive."""
    value = call.inputs.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else default


def input_type(call: NodeCall, name: str) -> str:
    """Return the type of an input in the catalog, or an empty string for an unknown input."""
    spec = call.node_class.by_name.get(name)
    return "" if spec is None else spec.type
