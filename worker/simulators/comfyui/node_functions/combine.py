"""Nodes that build batches, combine images, and return their size."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageChops

from worker.simulators.comfyui.classes.values import Images, Value
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.node_functions.transform import resized


def batch(call: NodeCall) -> NodeResult:
    """Return all images as one batch, scaled to the size of the first."""
    groups = [value for value in call.inputs.values() if isinstance(value, Images)]
    fitted = [resized(group, groups[0].size, "bilinear", "center") for group in groups]
    mode = "RGBA" if any(frame.mode == "RGBA" for group in fitted for frame in group.frames) else "RGB"
    frames = tuple(_in_mode(frame, mode) for group in fitted for frame in group.frames)
    return NodeResult((Images(frames, groups[0].trace),))


def from_batch(call: NodeCall) -> NodeResult:
    """Return `length` images of a batch from `batch_index` on. A negative index counts from the end."""
    images = call.images("image")
    start = min(len(images.frames) - 1, call.integer("batch_index"))
    start = start + len(images.frames) if start < 0 else start
    frames = images.frames[start : start + max(1, call.integer("length"))]
    return NodeResult((Images(frames, images.trace),))


def repeat_batch(call: NodeCall) -> NodeResult:
    """Return the batch repeated `amount` times."""
    images = call.images("image")
    return NodeResult((Images(images.frames * call.integer("amount"), images.trace),))


def rebatch(call: NodeCall) -> NodeResult:
    """Return a list of batches with `batch_size` images each. The inputs are lists."""
    groups = [value for value in _as_list(call.inputs.get("images")) if isinstance(value, Images)]
    sizes = [value for value in _as_list(call.inputs.get("batch_size")) if isinstance(value, int)]
    size = sizes[0] if sizes else 1
    frames = [frame for group in groups for frame in group.frames]
    batches: list[Value] = [Images(tuple(frames[at : at + size])) for at in range(0, len(frames), size)]
    return NodeResult((batches,))


def blend(call: NodeCall) -> NodeResult:
    """Blend two images in one of the modes of ImageBlend, with `blend_factor` from 0 to 1."""
    first = call.images("image1")
    second = resized(call.images("image2"), first.size, "bicubic", "center")
    mode, factor = call.text("blend_mode"), call.number("blend_factor")
    frames = []
    for below, above in zip(first.frames, second.frames, strict=False):
        mixed = _mixed(mode, below, _in_mode(above, below.mode))
        frames.append(Image.blend(below, mixed, factor))
    return NodeResult((Images(tuple(frames), first.trace),))


def composite_masked(call: NodeCall) -> NodeResult:
    """Paste the input `source` onto each image of `destination`, at the position `x`, `y`.

    With a mask, only the pixels are pasted where the mask is white.
    """
    below, above = call.images("destination"), call.images("source")
    if call.flag("resize_source", default=False):
        above = resized(above, below.size, "bilinear")
    has_mask = call.inputs.get("mask") is not None
    mask = call.masks("mask").frames[0].resize(above.size) if has_mask else None
    frames = []
    for index, frame in enumerate(below.frames):
        canvas = frame.copy()
        pasted = _in_mode(above.frames[min(index, len(above.frames) - 1)], frame.mode)
        canvas.paste(pasted, (call.integer("x"), call.integer("y")), mask)
        frames.append(canvas)
    return NodeResult((Images(tuple(frames), below.trace),))


def image_size(call: NodeCall) -> NodeResult:
    """Return width, height and count, and send them to every client as a line of text."""
    images = call.images("image")
    (width, height), count = images.size, len(images.frames)
    call.send_text(f"width: {width}, height: {height}\n batch size: {count}")
    return NodeResult((width, height, count))


def _as_list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _mixed(mode: str, below: Image.Image, above: Image.Image) -> Image.Image:
    """Combine two images of one size in a blend mode. An unknown mode returns the upper image."""
    match mode:
        case "multiply":
            return ImageChops.multiply(below, above)
        case "screen":
            return ImageChops.screen(below, above)
        case "overlay":
            return ImageChops.overlay(below, above)
        case "soft_light":
            return ImageChops.soft_light(below, above)
        case "difference":
            return ImageChops.subtract(below, above)
        case _:
            return above


def _in_mode(frame: Image.Image, mode: str) -> Image.Image:
    """Return the image in a mode such as RGB."""
    return frame if frame.mode == mode else frame.convert(mode)


NODES: Mapping[str, NodeFunction] = {
    "ImageBatch": batch,
    "BatchImagesNode": batch,
    "ImageFromBatch": from_batch,
    "RepeatImageBatch": repeat_batch,
    "RebatchImages": rebatch,
    "ImageBlend": blend,
    "ImageCompositeMasked": composite_masked,
    "GetImageSize": image_size,
}
