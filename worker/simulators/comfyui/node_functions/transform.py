"""Nodes that scale, crop, rotate and filter images."""

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
    """Apply a function to every frame. Frames that are the same object are processed once."""
    changed_by_id: dict[int, Image.Image] = {}
    for frame in images.frames:
        if id(frame) not in changed_by_id:
            changed_by_id[id(frame)] = change(frame)
    return Images(tuple(changed_by_id[id(frame)] for frame in images.frames), images.trace)


def resized(images: Images, size: tuple[int, int], method: str = "lanczos", crop: str = "disabled") -> Images:
    """Scale images to a size in pixels. With `crop="center"` they are first cropped to the new aspect ratio."""
    if size == images.size:
        return images
    if 0 in size:  # ComfyUI makes an empty image here, and saving it fails
        return map_images(images, lambda frame: Image.new(frame.mode, size))
    box = _center(images.size, size) if crop == "center" else None
    return map_images(images, lambda frame: frame.resize(size, METHODS[method], box))


def scale(call: NodeCall) -> NodeResult:
    """Scale to the inputs `width` and `height`. If one is 0, it follows from the other and the aspect ratio."""
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
    """Scale both edges by a factor."""
    images = call.images("image")
    factor = call.number("scale_by")
    size = round(images.size[0] * factor), round(images.size[1] * factor)
    return NodeResult((resized(images, size, call.text("upscale_method")),))


def scale_to_pixels(call: NodeCall) -> NodeResult:
    """Scale to about `megapixels`. Both edges become multiples of `resolution_steps`."""
    images = call.images("image")
    factor = math.sqrt(call.number("megapixels") * 1024 * 1024 / (images.size[0] * images.size[1]))
    grid = max(1, call.integer("resolution_steps", 1))
    width, height = (max(grid, round(edge * factor / grid) * grid) for edge in images.size)
    return NodeResult((resized(images, (width, height), call.text("upscale_method")),))


def scale_to_edge(call: NodeCall) -> NodeResult:
    """Scale so that the longer edge is `largest_size` pixels."""
    images = call.images("image")
    factor = call.integer("largest_size") / max(images.size)
    width, height = (max(1, round(edge * factor)) for edge in images.size)
    return NodeResult((resized(images, (width, height), call.text("upscale_method")),))


def resize(call: NodeCall) -> NodeResult:
    """Scale images or masks to the size that `resize_type` and its inputs describe. Masks stay masks."""
    value = call.inputs.get("input")
    images = coerce.images(value)
    method, crop = call.text("scale_method", "area"), call.text("resize_type.crop", "disabled")
    scaled = resized(images, _target_size(call, images.size), method, crop)
    return NodeResult((coerce.masks(scaled) if isinstance(value, Masks) else scaled,))


def upscale_with_model(call: NodeCall) -> NodeResult:
    """Scale by the upscaler's factor, without a model."""
    images = call.images("image")
    size = images.size[0] * UPSCALER_FACTOR, images.size[1] * UPSCALER_FACTOR
    return NodeResult((resized(images, size),))


def crop(call: NodeCall) -> NodeResult:
    """Crop to a box, which is limited to the image."""
    images = call.images("image")
    width, height = images.size
    left, top = min(call.integer("x"), width - 1), min(call.integer("y"), height - 1)
    box = left, top, min(left + call.integer("width"), width), min(top + call.integer("height"), height)
    return NodeResult((map_images(images, lambda frame: frame.crop(box)),))


def invert(call: NodeCall) -> NodeResult:
    """Invert all channels."""
    return NodeResult((map_images(call.images("image"), _inverted),))


def flip(call: NodeCall) -> NodeResult:
    """Mirror images along the axis of `flip_method`."""
    # The values are "x-axis: vertically" and "y-axis: horizontally".
    is_vertical = call.text("flip_method").startswith("x")
    return NodeResult((map_images(call.images("image"), ImageOps.flip if is_vertical else ImageOps.mirror),))


def rotate(call: NodeCall) -> NodeResult:
    """Rotate clockwise by 90, 180 or 270 degrees."""
    turns = {"90": Image.Transpose.ROTATE_270, "180": Image.Transpose.ROTATE_180, "270": Image.Transpose.ROTATE_90}
    turn = turns.get(call.text("rotation").split()[0])
    images = call.images("image")
    return NodeResult((images if turn is None else map_images(images, lambda frame: frame.transpose(turn)),))


def blur(call: NodeCall) -> NodeResult:
    """Apply a Gaussian blur."""
    radius = min(call.number("sigma"), call.number("blur_radius"))
    return NodeResult((map_images(call.images("image"), lambda frame: frame.filter(ImageFilter.GaussianBlur(radius))),))


def sharpen(call: NodeCall) -> NodeResult:
    """Apply an unsharp mask."""
    mask = ImageFilter.UnsharpMask(call.number("sigma"), round(call.number("alpha") * 100), 0)
    return NodeResult((map_images(call.images("image"), lambda frame: frame.filter(mask)),))


def pad_for_outpaint(call: NodeCall) -> NodeResult:
    """Add a grey margin, and return a mask that is white on the margin."""
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
    """Scale to fit a frame, and fill the rest of the frame with a colour."""
    target = call.integer("target_width"), call.integer("target_height")
    color, method = call.text("padding_color"), METHODS[call.text("interpolation")]
    return NodeResult((map_images(call.images("image"), lambda frame: ImageOps.pad(frame, target, method, color)),))


def _target_size(call: NodeCall, size: tuple[int, int]) -> tuple[int, int]:
    """Return the new size for the inputs of ResizeImageMaskNode."""
    width, height = size
    match call.text("resize_type"):
        case "scale dimensions":
            new_width, new_height = call.integer("resize_type.width"), call.integer("resize_type.height")
            return new_width or round(new_height * width / height), new_height or round(new_width * height / width)
        case "match size":
            return coerce.images(call.inputs.get("resize_type.match")).size
        case "scale to multiple":
            multiple = call.integer("resize_type.multiple")
            return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)
        case kind:
            factor = _factor(call, kind, size)
            return max(1, round(width * factor)), max(1, round(height * factor))


def _factor(call: NodeCall, kind: str, size: tuple[int, int]) -> float:
    """Return the scale factor for a `resize_type` that keeps the aspect ratio."""
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
    """Return the largest centred box with the new aspect ratio: left, top, right, bottom."""
    width, height = old
    if width / height > new[0] / new[1]:
        margin = (width - height * new[0] / new[1]) / 2
        return margin, 0, width - margin, height
    margin = (height - width * new[1] / new[0]) / 2
    return 0, margin, width, height - margin


def _inverted(frame: Image.Image) -> Image.Image:
    """Invert all channels including alpha, as ComfyUI does."""
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
