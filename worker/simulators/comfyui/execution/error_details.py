"""The details of `execution_error`, as a real ComfyUI 0.33.0 reports them."""

from __future__ import annotations

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.schedule import DependencyCycle
from worker.workflow.prompt import Prompt


def describe_value(value: Value) -> object:
    """Return a value as `current_inputs` shows it: scalars unchanged, other values as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def qualified_name(error: Exception) -> str:
    """Return the name of the exception's class, with its module unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def describe_cycle(cycle: DependencyCycle, prompt: Prompt) -> dict[str, object]:
    """Return the details of `execution_error` for a cycle. `current_outputs` lists every node of the prompt."""
    return {
        "exception_message": str(cycle),
        "exception_type": "graph.DependencyCycleError",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": list(prompt),
    }
