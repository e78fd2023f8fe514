"""Nodes that show something in the editor and save nothing. They write files to temp, or report text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from PIL import ImageColor
from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.values import Images, Masks, Value, trace_of
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.folders import temp_prefix, temp_suffix
from worker.simulators.comfyui.node_functions.constants import filled
from worker.simulators.comfyui.node_functions.saving import PREVIEW_COMPRESSION, png_texts, write_pngs
from worker.simulators.comfyui.node_functions.transform import map_images

LOSS_GRAPH = (840, 520)
BOX = {"x": 0, "y": 0, "width": 512, "height": 512}


def preview_image(call: NodeCall) -> NodeResult:
    """Write previews to temp. Their random suffix stays the same while every prompt has the node."""
    images = call.images("images")
    prefix = "ComfyUI" + call.context.instances.preview_suffix(call.node_id, call.node_class.name)
    return NodeResult((images,), {"images": _write(call, images, prefix, png_texts(call.context))})


def compare_images(call: NodeCall) -> NodeResult:
    """Write two lists of previews without metadata, one for each side of the slider."""
    suffix = temp_suffix()
    ui = {}
    for side in ("a", "b"):
        value = call.inputs.get(f"image_{side}")
        images = None if value is None else coerce.images(value)
        prefix = f"comfy.compare.{side}{suffix}"
        ui[f"{side}_images"] = [] if images is None else _write(call, images, prefix, None)
    return NodeResult(ui=ui)


def mask_preview(call: NodeCall) -> NodeResult:
    """Write masks to temp as grey images."""
    masks = call.masks("mask")
    return NodeResult((masks,), preview(call, Images(tuple(mask.convert("RGB") for mask in masks.frames))))


def crop(call: NodeCall) -> NodeResult:
    """Crop images to a box and preview them, although the node is no output node."""
    region = call.inputs.get("crop_region")
    box = {**BOX, **{name: value for name, value in _as_object(region).items() if isinstance(value, int)}}
    images = call.images("image")
    width, height = images.size
    left, top = min(box["x"], width - 1), min(box["y"], height - 1)
    edges = left, top, min(left + box["width"], width), min(top + box["height"], height)
    cropped = map_images(images, lambda frame: frame.crop(edges))
    return NodeResult((cropped,), preview(call, cropped))


def paint(call: NodeCall) -> NodeResult:
    """Return the first input image, or one of the background colour. Strokes are not painted."""
    background = call.inputs.get("image")
    color = ImageColor.getrgb(call.text("bg_color", "#000000"))
    size = call.integer("width", 512), call.integer("height", 512)
    images = Images(coerce.images(background).frames[:1] if background is not None else (filled(size, color),))
    return NodeResult((images, Masks((filled(images.size, 0),))), preview(call, images))


def shade(call: NodeCall) -> NodeResult:
    """Return the first input unchanged in each output slot, and preview all inputs. No shader runs."""
    values = [value for name, value in call.inputs.items() if name.startswith("images.") and value is not None]
    images = [coerce.images(value) for value in values]
    inputs = [file for group in images for file in _write(call, group, "GLSLShader_input", None)]
    ui = {"input_images": inputs, "images": _write(call, images[0], "GLSLShader_output", None)}
    return NodeResult((images[0],) * len(call.node_class.outputs), ui)


def draw_boxes(call: NodeCall) -> NodeResult:
    """Return a black image without boxes, and report only its size."""
    size = call.integer("width"), call.integer("height")
    return NodeResult((Images((filled(size, (0, 0, 0)),)), [], []), {"dims": list(size)})


def plot_loss(call: NodeCall) -> NodeResult:
    """Preview a placeholder of the plot's size, with metadata."""
    plot = Images(placeholder.draw(LOSS_GRAPH, trace_of(call.inputs.get("loss"))))
    return NodeResult(ui=preview(call, plot, png_texts(call.context)))


def preview_any(call: NodeCall) -> NodeResult:
    """Report any value as text. A value that is neither scalar, list nor object is reported by its type."""
    text = as_text(call.inputs.get("source"))
    return NodeResult((text,), {"text": [text]})


def preview(call: NodeCall, images: Images, texts: PngInfo | None = None) -> dict[str, list[object]]:
    """Write previews to temp, and return them in the form that V3 nodes report."""
    return {"images": _write(call, images, temp_prefix(), texts), "animated": [False]}


def as_text(value: Value) -> str:
    """Return the text that PreviewAny shows for a value: JSON for lists and objects."""
    match value:
        case str():
            return value
        case bool() | int() | float() | None:
            return str(value)
        case list() | dict():
            return json.dumps(value, indent=4, ensure_ascii=False, default=str)
        case _:
            return str(value)


def _as_object(value: Value) -> Mapping[str, Value]:
    """Return a value that is an object, or an empty object."""
    return value if isinstance(value, dict) else {}


def _write(call: NodeCall, images: Images, prefix: str, texts: PngInfo | None) -> list[object]:
    """Write images to temp, and return their entries for the `ui` output."""
    return write_pngs(images, call.context.folders.save_slots(prefix, "temp"), texts, PREVIEW_COMPRESSION)


NODES: Mapping[str, NodeFunction] = {
    "CreateBoundingBoxes": draw_boxes,
    "GLSLShader": shade,
    "ImageCompare": compare_images,
    "ImageCropV2": crop,
    "LossGraphNode": plot_loss,
    "MaskPreview": mask_preview,
    "Painter": paint,
    "PreviewAny": preview_any,
    "PreviewImage": preview_image,
}
