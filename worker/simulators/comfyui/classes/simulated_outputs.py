"""What comes out of a node that this engine can't run: for each output slot something of its type."""

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

_KEPT: Mapping[str, type[Images | Masks | Audio | Video]] = {
    "IMAGE": Images,
    "MASK": Masks,
    "AUDIO": Audio,
    "VIDEO": Video,
}
"""Types that a filter hands on as they came; partner services make new ones."""

_SCALARS: Mapping[str, tuple[tuple[type, ...], Value]] = {
    "INT": ((int,), 0),
    "FLOAT": ((int, float), 0.0),
    "STRING": ((str,), NO_TEXT),
    "BOOLEAN": ((bool,), False),
}


def simulated_output(call: NodeCall, slot: OutputSpec, latent: Latent) -> Value:
    """Make one output; `latent` has the size, count and trace that the call works with."""
    kind = slot.type
    if isinstance(kind, list) or kind == COMBO:
        return _choice(call, slot)
    if kind in _SCALARS:
        return _scalar(call, slot, kind, latent)
    if kind == "SIGMAS":
        return Sigmas(_sigma_steps(call), latent.trace)
    if kind == "*" or "MATCHTYPE" in kind or "," in kind:
        return _handed_on(call, latent.trace)
    kept = first_of_type(call, _KEPT[kind]) if kind in _KEPT and not call.node_class.api_node else None
    return coerce.convert(kind, latent, latent.trace) if kept is None else kept


def _sigma_steps(call: NodeCall) -> int:
    given = first_of_type(call, Sigmas)
    return positive_integer(call, "steps", coerce.DEFAULT_STEPS if given is None else given.steps)


def _choice(call: NodeCall, slot: OutputSpec) -> Value:
    given = call.inputs.get(slot.name)
    if isinstance(given, str | int | float):
        return given
    options: list[Json] = slot.type if isinstance(slot.type, list) else []
    return next((option for option in options if isinstance(option, str | int | float)), "")


def _scalar(call: NodeCall, slot: OutputSpec, kind: str, latent: Latent) -> Value:
    """A widget of the slot's name, a measure of that name, or the first widget of its type."""
    fits, nothing = _SCALARS[kind]
    measures: dict[str, Value] = {"width": latent.width, "height": latent.height, "batch_size": latent.batch}
    named = call.inputs.get(slot.name.lower(), measures.get(slot.name.lower()))
    if isinstance(named, fits):
        return named
    same = (value for name, value in each_input(call) if input_type(call, name) == kind and isinstance(value, fits))
    return next(same, nothing)


def _handed_on(call: NodeCall, trace: Trace) -> Value:
    """The first value that came over a link, else the first widget's."""
    values = [value for _, value in each_input(call)]
    heavy = [value for value in values if not isinstance(value, bool | int | float | str | dict | None)]
    return next(iter([*heavy, *values]), OpaqueValue("*", trace))
