"""Pictures from pictures: scaling, cutting, turning, colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from PIL import Image, ImageFilter, ImageOps

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Images, Masks
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult

METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
UPSCALER_FACTOR = 4


def map_images(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Change every picture; those that are one and the same object are changed once."""
    changed: dict[int, Image.Image] = {}
    for frame in images.frames:
        if id(frame) not in changed:
            changed[id(frame)] = change(frame)
    return Images(tuple(changed[id(frame)] for frame in images.frames), images.trace)


def resized(images: Images, size: tuple[int, int], method: str = "lanczos", crop: str = "disabled") -> Images:
    """Scale to a size; `center` cuts to its shape before."""
    if size == images.size:
        return images
    if 0 in size:  # ComfyUI makes an empty picture here and fails where it is saved
        return map_images(images, lambda frame: Image.new(frame.mode, size))
    box = _center(images.size, size) if crop == "center" else None
    return map_images(images, lambda frame: frame.resize(size, METHODS[method], box))


def scale(call: NodeCall) -> NodeResult:
    """To width and height; of the two a 0 follows from the other."""
    images = call.images("image")
    width, height = call.integer("width"), call.integer("height")
    if width == 0 and height == 0:
        return NodeResult((images,))
    old_width, old_height = images.size
    size = (
        width or max(1, round(old_width * height / old_height)),
        height or max(1, round(old_height * width / old_width)),
    )
    return NodeResult((resized(images, size, call.text("upscale_method"), call.text("crop")),))


def scale_by(call: NodeCall) -> NodeResult:
    images = call.images("image")
    factor = call.number("scale_by")
    size = round(images.size[0] * factor), round(images.size[1] * factor)
    return NodeResult((resized(images, size, call.text("upscale_method")),))


def scale_to_pixels(call: NodeCall) -> NodeResult:
    """To about so many megapixels, in whole multiples of `resolution_steps`."""
    images = call.images("image")
    factor = math.sqrt(call.number("megapixels") * 1024 * 1024 / (images.size[0] * images.size[1]))
    grid = max(1, call.integer("resolution_steps", 1))
    width, height = (max(grid, round(edge * factor / grid) * grid) for edge in images.size)
    return NodeResult((resized(images, (width, height), call.text("upscale_method")),))


def scale_to_edge(call: NodeCall) -> NodeResult:
    """So that the longer edge is `largest_size`."""
    images = call.images("image")
    factor = call.integer("largest_size") / max(images.size)
    width, height = (max(1, round(edge * factor)) for edge in images.size)
    return NodeResult((resized(images, (width, height), call.text("upscale_method")),))


def resize(call: NodeCall) -> NodeResult:
    """One node for all ways to say a size, for pictures and masks."""
    value = call.inputs.get("input")
    images = coerce.images(value)
    method, crop = call.text("scale_method", "area"), call.text("resize_type.crop", "disabled")
    scaled = resized(images, _wanted_size(call, images.size), method, crop)
    return NodeResult((coerce.masks(scaled) if isinstance(value, Masks) else scaled,))


def upscale_with_model(call: NodeCall) -> NodeResult:
    """What an upscaler's picture would measure, without its details."""
    images = call.images("image")
    size = images.size[0] * UPSCALER_FACTOR, images.size[1] * UPSCALER_FACTOR
    return NodeResult((resized(images, size),))


def crop(call: NodeCall) -> NodeResult:
    images = call.images("image")
    width, height = images.size
    left, top = min(call.integer("x"), width - 1), min(call.integer("y"), height - 1)
    box = left, top, min(left + call.integer("width"), width), min(top + call.integer("height"), height)
    return NodeResult((map_images(images, lambda frame: frame.crop(box)),))


def invert(call: NodeCall) -> NodeResult:
    return NodeResult((map_images(call.images("image"), _inverted),))


def flip(call: NodeCall) -> NodeResult:
    is_vertical = call.text("flip_method").startswith("x")
    return NodeResult((map_images(call.images("image"), ImageOps.flip if is_vertical else ImageOps.mirror),))


def rotate(call: NodeCall) -> NodeResult:
    """Clockwise by quarters."""
    turns = {"90": Image.Transpose.ROTATE_270, "180": Image.Transpose.ROTATE_180, "270": Image.Transpose.ROTATE_90}
    turn = turns.get(call.text("rotation").split()[0])
    images = call.images("image")
    return NodeResult((images if turn is None else map_images(images, lambda frame: frame.transpose(turn)),))


def blur(call: NodeCall) -> NodeResult:
    radius = min(call.number("sigma"), call.number("blur_radius"))
    return NodeResult((map_images(call.images("image"), lambda frame: frame.filter(ImageFilter.GaussianBlur(radius))),))


def sharpen(call: NodeCall) -> NodeResult:
    mask = ImageFilter.UnsharpMask(call.number("sigma"), round(call.number("alpha") * 100), 0)
    return NodeResult((map_images(call.images("image"), lambda frame: frame.filter(mask)),))


def pad_for_outpaint(call: NodeCall) -> NodeResult:
    """A grey margin, and a mask of it."""
    images = call.images("image")
    left, top = call.integer("left"), call.integer("top")
    width, height = images.size
    size = width + left + call.integer("right"), height + top + call.integer("bottom")

    def padded(frame: Image.Image) -> Image.Image:
        canvas = Image.new(frame.mode, size, (128,) * len(frame.getbands()))
        canvas.paste(frame, (left, top))
        return canvas

    mask = Image.new("L", size, 255)
    mask.paste(0, (left, top, left + width, top + height))
    return NodeResult((map_images(images, padded), Masks((mask,))))


def resize_and_pad(call: NodeCall) -> NodeResult:
    """Fit into a frame without changing the shape."""
    target = call.integer("target_width"), call.integer("target_height")
    color, method = call.text("padding_color"), METHODS[call.text("interpolation")]
    return NodeResult((map_images(call.images("image"), lambda frame: ImageOps.pad(frame, target, method, color)),))


def _wanted_size(call: NodeCall, size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    match call.text("resize_type"):
        case "scale dimensions":
            wanted = call.integer("resize_type.width"), call.integer("resize_type.height")
            return wanted[0] or round(wanted[1] * width / height), wanted[1] or round(wanted[0] * height / width)
        case "match size":
            return coerce.images(call.inputs.get("resize_type.match")).size
        case "scale to multiple":
            multiple = call.integer("resize_type.multiple")
            return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)
        case kind:
            factor = _factor(call, kind, size)
            return max(1, round(width * factor)), max(1, round(height * factor))


def _factor(call: NodeCall, kind: str, size: tuple[int, int]) -> float:
    match kind:
        case "scale by multiplier":
            return call.number("resize_type.multiplier")
        case "scale longer dimension":
            return call.integer("resize_type.longer_size") / max(size)
        case "scale shorter dimension":
            return call.integer("resize_type.shorter_size") / min(size)
        case "scale width":
            return call.integer("resize_type.width") / size[0]
        case "scale height":
            return call.integer("resize_type.height") / size[1]
        case _:
            return math.sqrt(call.number("resize_type.megapixels") * 1024 * 1024 / (size[0] * size[1]))


def _center(old: tuple[int, int], new: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest box of the new shape in the middle of the old size."""
    width, height = old
    if width / height > new[0] / new[1]:
        margin = (width - height * new[0] / new[1]) / 2
        return margin, 0, width - margin, height
    margin = (height - width * new[1] / new[0]) / 2
    return 0, margin, width, height - margin


def _inverted(frame: Image.Image) -> Image.Image:
    """All channels, alpha too, as ComfyUI does."""
    return Image.merge(frame.mode, [ImageOps.invert(band) for band in frame.split()])


NODES: Mapping[str, NodeFunction] = {
    "ImageScale": scale,
    "ImageScaleBy": scale_by,
    "ImageScaleToTotalPixels": scale_to_pixels,
    "ImageScaleToMaxDimension": scale_to_edge,
    "ResizeImageMaskNode": resize,
    "ImageUpscaleWithModel": upscale_with_model,
    "ImageCrop": crop,
    "ImageInvert": invert,
    "ImageFlip": flip,
    "ImageRotate": rotate,
    "ImageBlur": blur,
    "ImageSharpen": sharpen,
    "ImagePadForOutpaint": pad_for_outpaint,
    "ResizeAndPadImage": resize_and_pad,
}
