"""Decides which output may be linked to which input."""

from __future__ import annotations

from worker.workflow.catalog.class_facts import MORE_OUTPUTS, ONE_OUTPUT_FOR_ALL
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass
from worker.workflow.json_value import Json

ANY = "*"
MATCH = "COMFY_MATCHTYPE_V3"

# Inputs of VideoHelperSuite that accept this type too. The catalog only shows one type.
_VHS_INPUTS = {
    ("VHS_VideoCombine", "images"): "LATENT",
    ("VHS_VideoCombine", "frame_rate"): "INT",
    ("VHS_LoadVideo", "force_rate"): "INT",
    ("VHS_LoadVideoPath", "force_rate"): "INT",
    ("VHS_LoadVideoFFmpeg", "force_rate"): "INT",
    ("VHS_LoadVideoFFmpegPath", "force_rate"): "INT",
}
_VHS_LOADERS = {
    "VHS_LoadVideo",
    "VHS_LoadVideoPath",
    "VHS_LoadVideoFFmpeg",
    "VHS_LoadVideoFFmpegPath",
    "VHS_LoadImagePath",
}


def output_type(source: NodeClass, slot: int) -> str | list[Json]:
    """Return the type of an output slot, or its list of choices for a slot that outputs a choice.

    Raises IndexError if the slot does not exist, and TypeError if it is no integer, with the same message as ComfyUI.
    """
    types = [output.type for output in source.outputs]
    if source.name in ONE_OUTPUT_FOR_ALL and slot > 0:
        return types[0]
    if source.name in MORE_OUTPUTS and slot > len(types) - 1:
        return ANY
    # ComfyUI uses a list for V3 classes and a tuple for others, and the error message for a missing slot differs.
    return types[slot] if source.is_v3 else tuple(types)[slot]


def fits(source_class: str, received: str | list[Json], target_class: str, spec: InputSpec) -> bool:
    """Return whether ComfyUI 0.33.0 accepts a link from an output of type `received` to the input `spec`.

    The types must be equal, or one of them must fit everything (`*`, `COMFY_MATCHTYPE_V3`), or their alternatives
    (`INT,FLOAT`) must overlap. Some classes of VideoHelperSuite accept more types than they declare.
    """
    declared = spec.config[0]
    if source_class in ONE_OUTPUT_FOR_ALL and isinstance(received, str):
        return True
    if received == declared or ANY in (received, declared) or MATCH in (received, declared):
        return True
    if isinstance(received, list):  # the output is a choice
        return declared == COMBO
    if not isinstance(declared, str):
        return False
    output_types, input_types = _alternatives(received), _alternatives(declared)
    if source_class in _VHS_LOADERS and received == "IMAGE":
        output_types |= {"LATENT"}
    undeclared_type = _VHS_INPUTS.get((target_class, spec.name))
    if undeclared_type is not None:
        input_types |= {undeclared_type}
    return ANY in output_types or ANY in input_types or not output_types.isdisjoint(input_types)


def _alternatives(kind: str) -> set[str]:
    """Return the types in a text such as `INT,FLOAT`."""
    return {part.strip() for part in kind.split(",")}
