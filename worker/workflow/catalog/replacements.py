"""Classes that ComfyUI 0.33.0 rewrites before it validates: old names, and what has become of them.

Source: `GET /node_replacements` of a real server. Only a class that the engine does not have is rewritten.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt


class ReplacementError(Exception):
    """The server fails here (500): a node to be replaced has no `_meta`, or lacks an input that is carried over."""


@dataclass(frozen=True, slots=True)
class NodeReplacement:
    """`carried` maps new input names to old ones; inputs in neither mapping are dropped, as the server does."""

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
"""For a search by equality, because the class of a node may be anything in a prompt that is not checked yet."""


def replace_classes(nodes: Prompt, catalog: Container[str]) -> None:
    """Rewrite, in place, the nodes of replaced classes. Raises ReplacementError where the server fails.

    None of the eight changes an output slot, so links to them stay as they are.
    """
    for node_id, node in nodes.items():
        class_type = node.get("class_type")
        replacement = REPLACEMENTS.get(class_type) if isinstance(class_type, str) and "inputs" in node else None
        if replacement and class_type not in catalog and replacement.new_class in catalog:
            nodes[node_id] = rewrite(node, replacement)


def rewrite(node: Node, replacement: NodeReplacement) -> Node:
    """Return the node with its present class and inputs. Raises ReplacementError where the server fails."""
    if not isinstance(node.get("_meta"), dict):
        raise ReplacementError
    missing = [old for _, old in replacement.carried if old not in node["inputs"]]
    if missing:
        raise ReplacementError
    inputs = {new: node["inputs"][old] for new, old in replacement.carried}
    return {**node, "class_type": replacement.new_class, "inputs": {**inputs, **dict(replacement.fixed)}}
