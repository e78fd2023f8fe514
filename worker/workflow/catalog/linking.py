"""Which output may be linked to which input."""

from __future__ import annotations

from worker.workflow.catalog.class_facts import MORE_OUTPUTS, ONE_OUTPUT_FOR_ALL
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass
from worker.workflow.json_value import Json

ANY = "*"
MATCH = "COMFY_MATCHTYPE_V3"

# VideoHelperSuite writes a single type into its catalog, but takes and gives these two.
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
    """Return the type of a slot. Raises IndexError or TypeError in ComfyUI's words where there is none such."""
    types = [output.type for output in source.outputs]
    if source.name in ONE_OUTPUT_FOR_ALL and slot > 0:
        return types[0]
    if source.name in MORE_OUTPUTS and slot > len(types) - 1:
        return ANY
    # A list or a tuple as in ComfyUI, because the message about a slot that is not there names it.
    return types[slot] if source.is_v3 else tuple(types)[slot]


def fits(source_class: str, received: str | list[Json], target_class: str, spec: InputSpec) -> bool:
    """Tell whether ComfyUI 0.33.0 lets an output of type `received` go into this input.

    Types are equal, or one is `*` or a matched type, or the two lists of alternatives (`INT,FLOAT`) share one.
    """
    wanted = spec.config[0]
    if source_class in ONE_OUTPUT_FOR_ALL and isinstance(received, str):
        return True
    if received == wanted or ANY in (received, wanted) or MATCH in (received, wanted):
        return True
    if isinstance(received, list):
        return wanted == COMBO
    if not isinstance(wanted, str):
        return False
    gives, takes = _alternatives(received), _alternatives(wanted)
    if source_class in _VHS_LOADERS and received == "IMAGE":
        gives |= {"LATENT"}
    if extra := _VHS_INPUTS.get((target_class, spec.name)):
        takes |= {extra}
    return ANY in gives or ANY in takes or not gives.isdisjoint(takes)


def _alternatives(kind: str) -> set[str]:
    return {part.strip() for part in kind.split(",")}
