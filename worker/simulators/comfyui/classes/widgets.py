"""Reading the inputs of a class that is known only from the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.node_call import NodeCall

T = TypeVar("T")


def each_input(call: NodeCall) -> Iterator[tuple[str, Value]]:
    """The inputs one by one, also those that come as lists."""
    for name, value in call.inputs.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


def first_of_type(call: NodeCall, kind: type[T]) -> T | None:
    """The first input that is of a kind, whatever its name."""
    return next((value for _, value in each_input(call) if isinstance(value, kind)), None)


def positive_integer(call: NodeCall, name: str, default: int) -> int:
    """A whole number above 0; anything else means "as it comes"."""
    value = call.inputs.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def positive_number(call: NodeCall, name: str, default: float) -> float:
    """A number above 0; anything else means "as it comes"."""
    value = call.inputs.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else default


def input_type(call: NodeCall, name: str) -> str:
    spec = call.node_class.by_name.get(name)
    return "" if spec is None else spec.type
