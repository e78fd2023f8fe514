"""Nodes that process masks, and that convert between images and masks."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import ImageOps

from worker.simulators.comfyui.classes.values import Images, Masks
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult

CHANNELS = {"red": 0, "green": 1, "blue": 2, "alpha": 3}


def invert_mask(call: NodeCall) -> NodeResult:
    """Invert the values of masks."""
    masks = call.masks("mask")
    return NodeResult((Masks(tuple(ImageOps.invert(frame) for frame in masks.frames), masks.trace),))


def mask_to_image(call: NodeCall) -> NodeResult:
    """Return masks as grey images."""
    masks = call.masks("mask")
    return NodeResult((Images(tuple(frame.convert("RGB") for frame in masks.frames), masks.trace),))


def image_to_mask(call: NodeCall) -> NodeResult:
    """Return one channel of the images as masks. An image without alpha has an opaque one."""
    images = call.images("image")
    channel = CHANNELS[call.text("channel")]
    frames = tuple(frame.convert("RGBA").getchannel(channel) for frame in images.frames)
    return NodeResult((Masks(frames, images.trace),))


def crop_mask(call: NodeCall) -> NodeResult:
    """Crop masks to a box."""
    masks = call.masks("mask")
    left, top = call.integer("x"), call.integer("y")
    width, height = masks.size
    box = left, top, min(width, left + call.integer("width")), min(height, top + call.integer("height"))
    return NodeResult((Masks(tuple(frame.crop(box) for frame in masks.frames), masks.trace),))


def threshold_mask(call: NodeCall) -> NodeResult:
    """Make masks black and white by the threshold `value`, from 0 to 1."""
    masks = call.masks("mask")
    limit = call.number("value") * 255
    frames = tuple(frame.point(lambda value: 255 if value > limit else 0) for frame in masks.frames)
    return NodeResult((Masks(frames, masks.trace),))


def split_alpha(call: NodeCall) -> NodeResult:
    """Return the images without alpha, and masks that are white where the images are transparent."""
    images = call.images("image")
    colors = tuple(frame.convert("RGB") for frame in images.frames)
    alpha = tuple(ImageOps.invert(frame.convert("RGBA").getchannel("A")) for frame in images.frames)
    return NodeResult((Images(colors, images.trace), Masks(alpha, images.trace)))


def join_alpha(call: NodeCall) -> NodeResult:
    """Make images transparent where the mask is white."""
    images, masks = call.images("image"), call.masks("alpha")
    frames = []
    for index, frame in enumerate(images.frames):
        joined = frame.convert("RGBA")
        mask = masks.frames[min(index, len(masks.frames) - 1)]
        joined.putalpha(ImageOps.invert(mask.resize(frame.size)))
        frames.append(joined)
    return NodeResult((Images(tuple(frames), images.trace),))


NODES: Mapping[str, NodeFunction] = {
    "InvertMask": invert_mask,
    "MaskToImage": mask_to_image,
    "ImageToMask": image_to_mask,
    "CropMask": crop_mask,
    "ThresholdMask": threshold_mask,
    "SplitImageWithAlpha": split_alpha,
    "JoinImageWithAlpha": join_alpha,
}
