"""Masks, and pictures as masks."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import ImageOps

from worker.simulators.comfyui.classes.values import Masks, Pictures
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result

CHANNELS = {"red": 0, "green": 1, "blue": 2, "alpha": 3}


def invert_mask(call: NodeCall) -> Result:
    masks = call.masks("mask")
    return Result((Masks(tuple(ImageOps.invert(frame) for frame in masks.frames), masks.trace),))


def mask_to_image(call: NodeCall) -> Result:
    masks = call.masks("mask")
    return Result((Pictures(tuple(frame.convert("RGB") for frame in masks.frames), masks.trace),))


def image_to_mask(call: NodeCall) -> Result:
    """One channel; alpha of a picture without is opaque."""
    pictures = call.pictures("image")
    channel = CHANNELS[call.text("channel")]
    frames = tuple(frame.convert("RGBA").getchannel(channel) for frame in pictures.frames)
    return Result((Masks(frames, pictures.trace),))


def crop_mask(call: NodeCall) -> Result:
    masks = call.masks("mask")
    left, top = call.integer("x"), call.integer("y")
    width, height = masks.size
    box = left, top, min(width, left + call.integer("width")), min(height, top + call.integer("height"))
    return Result((Masks(tuple(frame.crop(box) for frame in masks.frames), masks.trace),))


def threshold_mask(call: NodeCall) -> Result:
    masks = call.masks("mask")
    limit = call.number("value") * 255
    frames = tuple(frame.point(lambda value: 255 if value > limit else 0) for frame in masks.frames)
    return Result((Masks(frames, masks.trace),))


def split_alpha(call: NodeCall) -> Result:
    """Colours, and where they are transparent."""
    pictures = call.pictures("image")
    colors = tuple(frame.convert("RGB") for frame in pictures.frames)
    alpha = tuple(ImageOps.invert(frame.convert("RGBA").getchannel("A")) for frame in pictures.frames)
    return Result((Pictures(colors, pictures.trace), Masks(alpha, pictures.trace)))


def join_alpha(call: NodeCall) -> Result:
    """Make pictures transparent where the mask is white."""
    pictures, masks = call.pictures("image"), call.masks("alpha")
    frames = []
    for index, frame in enumerate(pictures.frames):
        joined = frame.convert("RGBA")
        mask = masks.frames[min(index, len(masks.frames) - 1)]
        joined.putalpha(ImageOps.invert(mask.resize(frame.size)))
        frames.append(joined)
    return Result((Pictures(tuple(frames), pictures.trace),))


NODES: Mapping[str, Node] = {
    "InvertMask": invert_mask,
    "MaskToImage": mask_to_image,
    "ImageToMask": image_to_mask,
    "CropMask": crop_mask,
    "ThresholdMask": threshold_mask,
    "SplitImageWithAlpha": split_alpha,
    "JoinImageWithAlpha": join_alpha,
}
