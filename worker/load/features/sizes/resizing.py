"""What the nodes of a prompt do to the width and height of the content that they receive."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from worker.load.features.sizes.size import UPLOADED_IMAGE, Size
from worker.workflow.json_value import Json
from worker.workflow.numbers import number
from worker.workflow.prompt import Node, Prompt

MEGAPIXEL = 1024.0 * 1024.0
"""ComfyUI's megapixel, in pixels."""

_SCALES = ("scale_by", "upscale_by", "resize_type.multiplier", "rescale_factor")
_MEGAPIXELS = ("megapixels", "megapixel", "resize_type.megapixels")
_LONGER = ("largest_size", "resize_type.longer_size")
_SHORTER = ("resize_type.shorter_size",)
_SIDES_IN_TEXT = ("resolution", "dimensions", "image_size", "size")
"""Inputs that some packs fill with a text such as "1024x1024 (1.0)"."""
_TWO_SIDES = re.compile(r"(\d{2,5})\s*[x×*]\s*(\d{2,5})")
_OTHER_SIZES = frozenset({*_SCALES, *_MEGAPIXELS, *_LONGER, *_SHORTER, *_SIDES_IN_TEXT})


def resized(
    prompt: Prompt, node: Node, size: Size | None, sides: tuple[float | None, float | None], model_factor: float
) -> Size | None:
    """Return the size of the content that a node outputs, or None if it is not known.

    `size` is the size that it receives, and `sides` are the width and height that it sets, each None if it does not.
    `model_factor` is the factor of its upscale model. A missing side keeps the aspect ratio.
    """
    width, height = sides
    if width and height:
        size = replace(size or UPLOADED_IMAGE, width=width, height=height)
    elif width or height or "width" in node["inputs"]:
        size = _with_one_side(size or UPLOADED_IMAGE, width, height, is_known=size is not None)
    elif not _OTHER_SIZES.isdisjoint(node["inputs"]) or node["class_type"] == "FluxKontextImageScale":
        size = _with_other_size(prompt, node, size)
    if size is None:
        return None
    if "Pad" in node["class_type"]:
        size = _padded(prompt, node, size)
    factor = (number(prompt, node, *_SCALES) if not _OTHER_SIZES.isdisjoint(node["inputs"]) else None) or model_factor
    return size.times(factor) if factor != 1.0 else size


def _padded(prompt: Prompt, node: Node, size: Size) -> Size:
    """Return the size with the borders that a node adds."""
    left, right, top, bottom = (number(prompt, node, side) or 0.0 for side in ("left", "right", "top", "bottom"))
    return replace(size, width=size.width + left + right, height=size.height + top + bottom)


def joined(class_type: str, sizes: Sequence[Size]) -> Size:
    """Return the size of the content of a node that receives several contents of one kind."""
    largest = max(sizes, key=lambda size: size.pixels)
    if "Batch" in class_type:
        return replace(largest, batch=sum(size.batch for size in sizes))
    if "Stitch" in class_type or "Concat" in class_type:
        return replace(largest, width=sum(size.area for size in sizes) / max(largest.height, 1.0))
    return largest


def _with_one_side(size: Size, width: float | None, height: float | None, *, is_known: bool) -> Size:
    """Return the size with one side replaced. If the size is known, the other side keeps the aspect ratio."""
    if not is_known:
        return replace(size, width=width or size.width, height=height or size.height)
    if width and size.width:
        return size.times(width / size.width)
    return size.times(height / size.height) if height and size.height else size


def _with_other_size(prompt: Prompt, node: Node, size: Size | None) -> Size | None:
    """Return the size after a node that sets it in megapixels, by its longer or shorter side, or as a text."""
    received = size or UPLOADED_IMAGE
    megapixels = number(prompt, node, *_MEGAPIXELS)
    if node["class_type"] == "FluxKontextImageScale":
        megapixels = 1.0
    if megapixels and received.area:
        return received.times(math.sqrt(megapixels * MEGAPIXEL / received.area))
    longer, shorter = number(prompt, node, *_LONGER), number(prompt, node, *_SHORTER)
    if longer and received.area:
        return received.times(longer / max(received.width, received.height))
    if shorter and received.area:
        return received.times(shorter / min(received.width, received.height))
    sides = next(filter(None, (_sides_in(node["inputs"].get(name)) for name in _SIDES_IN_TEXT)), None)
    return replace(received, width=sides[0], height=sides[1]) if sides else size


def _sides_in(value: Json) -> tuple[float, float] | None:
    """Return the width and height in a text such as "1024x1024 (1.0)", or None."""
    found = _TWO_SIDES.search(value) if isinstance(value, str) and len(value) < 64 else None
    return (float(found[1]), float(found[2])) if found else None
