"""Outputs of simulated nodes: for each output slot a value of its type."""

from __future__ import annotations

from collections.abc import Mapping

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import (
    Audio,
    Images,
    Latent,
    Masks,
    OpaqueValue,
    Sigmas,
    Trace,
    Value,
    Video,
)
from worker.simulators.comfyui.classes.widgets import each_input, first_of_type, input_type, positive_integer
from worker.simulators.comfyui.execution.node_call import NodeCall
from worker.workflow.catalog.node_class import COMBO, OutputSpec
from worker.workflow.json_value import Json

NO_TEXT = "embedded engine"

_PASSED_THROUGH: Mapping[str, type[Images | Masks | Audio | Video]] = {
    "IMAGE": Images,
    "MASK": Masks,
    "AUDIO": Audio,
    "VIDEO": Video,
}
"""Types of which a simulated node returns its first input unchanged. Nodes of partner services return new values."""

_SCALARS: Mapping[str, tuple[tuple[type, ...], Value]] = {
    "INT": ((int,), 0),
    "FLOAT": ((int, float), 0.0),
    "STRING": ((str,), NO_TEXT),
    "BOOLEAN": ((bool,), False),
}
"""For each scalar type the Python types of its values, and a default."""


def simulated_output(call: NodeCall, slot: OutputSpec, latent: Latent) -> Value:
    """Return the value of one output slot. `latent` has the size, count and trace that the call works with."""
    kind = slot.type
    if isinstance(kind, list) or kind == COMBO:
        return _choice(call, slot)
    if kind in _SCALARS:
        return _scalar(call, slot, kind, latent)
    if kind == "SIGMAS":
        return Sigmas(_sigma_steps(call), latent.trace)
    accepts_several_types = kind == "*" or "MATCHTYPE" in kind or "," in kind
    if accepts_several_types:
        return _first_input(call, latent.trace)
    if kind in _PASSED_THROUGH and not call.node_class.api_node:
        passed_through = first_of_type(call, _PASSED_THROUGH[kind])
        if passed_through is not None:
            return passed_through
    return coerce.convert(kind, latent, latent.trace)


def _sigma_steps(call: NodeCall) -> int:
    """Return the widget `steps`, else the steps of the sigmas among the inputs, else `DEFAULT_STEPS`."""
    sigmas = first_of_type(call, Sigmas)
    default = coerce.DEFAULT_STEPS if sigmas is None else sigmas.steps
    return positive_integer(call, "steps", default)


def _choice(call: NodeCall, slot: OutputSpec) -> Value:
    """Return the input with the slot's name, else the first option of the slot, else an empty string."""
    value = call.inputs.get(slot.name)
    if isinstance(value, str | int | float):
        return value
    options: list[Json] = slot.type if isinstance(slot.type, list) else []
    return next((option for option in options if isinstance(option, str | int | float)), "")


def _scalar(call: NodeCall, slot: OutputSpec, kind: str, latent: Latent) -> Value:
    """Return the scalar value of an output slot.

    It is the input with the slot's name, else the latent's size of that name, else the first input of the slot's
    type, else the default of the type.
    """
    types, default = _SCALARS[kind]
    sizes: dict[str, Value] = {"width": latent.width, "height": latent.height, "batch_size": latent.batch}
    same_name = call.inputs.get(slot.name.lower(), sizes.get(slot.name.lower()))
    if isinstance(same_name, types):
        return same_name
    for name, value in each_input(call):
        if input_type(call, name) == kind and isinstance(value, types):
            return value
    return default


def _first_input(call: NodeCall, trace: Trace) -> Value:
    """Return the first input that came over a link, or the first widget when no input did."""
    values = [value for _, value in each_input(call)]
    linked = [value for value in values if not isinstance(value, bool | int | float | str | dict | None)]
    return next(iter([*linked, *values]), OpaqueValue("*", trace))
