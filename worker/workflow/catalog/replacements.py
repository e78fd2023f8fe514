"""Node classes that ComfyUI 0.33.0 replaces by newer ones before it validates a prompt.

Source: `GET /node_replacements` of a real server. A class is only replaced if the engine does not have it.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt


class ReplacementError(Exception):
    """The node has no `_meta`, or lacks an input that is carried over. ComfyUI returns 500 then."""


@dataclass(frozen=True, slots=True)
class NodeReplacement:
    """The replacement of one class. `carried` are pairs (new input, old input), `fixed` pairs (new input, value).

    All other inputs are dropped, as ComfyUI does.
    """

    new_class: str
    carried: tuple[tuple[str, str], ...] = ()
    fixed: tuple[tuple[str, Json], ...] = ()


REPLACEMENTS = {
    "ConditioningAverage ": NodeReplacement("ConditioningAverage"),
    "ImageBatch": NodeReplacement("BatchImagesNode", (("images.image0", "image1"), ("images.image1", "image2"))),
    "ImageScaleBy": NodeReplacement(
        "ResizeImageMaskNode",
        (("input", "image"), ("resize_type.multiplier", "scale_by"), ("scale_method", "upscale_method")),
        (("resize_type", "scale by multiplier"),),
    ),
    "Load3DAnimation": NodeReplacement("Load3D"),
    "Preview3DAnimation": NodeReplacement("Preview3D"),
    "ResizeImagesByLongerEdge": NodeReplacement(
        "ImageScaleToMaxDimension",
        (("image", "images"), ("largest_size", "longer_edge")),
        (("upscale_method", "lanczos"),),
    ),
    "SDV_img2vid_Conditioning": NodeReplacement("SVD_img2vid_Conditioning"),
    "T2IAdapterLoader": NodeReplacement("ControlNetLoader", (("control_net_name", "t2i_adapter_name"),)),
}
OLD_CLASSES = tuple(REPLACEMENTS)
"""The replaced classes, as a tuple: in an unchecked prompt, `class_type` may be a value that is not hashable."""


def replace_classes(nodes: Prompt, catalog: Container[str]) -> None:
    """Replace the nodes of old classes in the dict `nodes`, if the catalog only has the new class.

    Raises ReplacementError where ComfyUI fails. Links stay valid, because no replacement changes an output slot.
    """
    for node_id, node in nodes.items():
        class_type = node.get("class_type")
        replacement = REPLACEMENTS.get(class_type) if isinstance(class_type, str) and "inputs" in node else None
        if replacement and class_type not in catalog and replacement.new_class in catalog:
            nodes[node_id] = rewrite(node, replacement)


def rewrite(node: Node, replacement: NodeReplacement) -> Node:
    """Return the node with its new class and inputs.

    Raises ReplacementError if the node has no `_meta` or lacks an input that is carried over, because ComfyUI fails
    then.
    """
    if not isinstance(node.get("_meta"), dict):
        raise ReplacementError
    missing = [old for _, old in replacement.carried if old not in node["inputs"]]
    if missing:
        raise ReplacementError
    inputs = {new: node["inputs"][old] for new, old in replacement.carried}
    return {**node, "class_type": replacement.new_class, "inputs": {**inputs, **dict(replacement.fixed)}}
