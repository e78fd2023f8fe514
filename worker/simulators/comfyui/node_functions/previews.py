"""Nodes that show something in the editor and save nothing: they write files to temp, or report texts."""

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
    """The names keep their five letters for as long as the node is in every prompt."""
    images = call.images("images")
    prefix = "ComfyUI" + call.context.instances.preview_suffix(call.node_id, call.node_class.name)
    return NodeResult((images,), {"images": _write(call, images, prefix, png_texts(call.context))})


def compare_images(call: NodeCall) -> NodeResult:
    """Two lists of previews, one for each side of the slider; no metadata."""
    suffix = temp_suffix()
    ui = {}
    for side in ("a", "b"):
        value = call.inputs.get(f"image_{side}")
        images = None if value is None else coerce.images(value)
        prefix = f"comfy.compare.{side}{suffix}"
        ui[f"{side}_images"] = [] if images is None else _write(call, images, prefix, None)
    return NodeResult(ui=ui)


def mask_preview(call: NodeCall) -> NodeResult:
    masks = call.masks("mask")
    return NodeResult((masks,), preview(call, Images(tuple(mask.convert("RGB") for mask in masks.frames))))


def crop(call: NodeCall) -> NodeResult:
    """Cut a box out and show it, though no output node needs it."""
    given = call.inputs.get("crop_region")
    box = {**BOX, **{name: value for name, value in _plain(given).items() if isinstance(value, int)}}
    images = call.images("image")
    width, height = images.size
    left, top = min(box["x"], width - 1), min(box["y"], height - 1)
    edges = left, top, min(left + box["width"], width), min(top + box["height"], height)
    cut = map_images(images, lambda frame: frame.crop(edges))
    return NodeResult((cut,), preview(call, cut))


def paint(call: NodeCall) -> NodeResult:
    """The first picture, or a plain one, without what was painted on it."""
    given = call.inputs.get("image")
    color = ImageColor.getrgb(call.text("bg_color", "#000000"))
    size = call.integer("width", 512), call.integer("height", 512)
    images = Images(coerce.images(given).frames[:1] if given is not None else (filled(size, color),))
    return NodeResult((images, Masks((filled(images.size, 0),))), preview(call, images))


def shade(call: NodeCall) -> NodeResult:
    """The first picture unchanged in each slot; what came in is shown beside it."""
    given = [value for name, value in call.inputs.items() if name.startswith("images.") and value is not None]
    images = [coerce.images(value) for value in given]
    inputs = [file for group in images for file in _write(call, group, "GLSLShader_input", None)]
    ui = {"input_images": inputs, "images": _write(call, images[0], "GLSLShader_output", None)}
    return NodeResult((images[0],) * len(call.node_class.outputs), ui)


def draw_boxes(call: NodeCall) -> NodeResult:
    """A plain picture without boxes; only its size is reported."""
    size = call.integer("width"), call.integer("height")
    return NodeResult((Images((filled(size, (0, 0, 0)),)), [], []), {"dims": list(size)})


def plot_loss(call: NodeCall) -> NodeResult:
    """A picture of the size that the plot has, with metadata."""
    drawn = Images(placeholder.draw(LOSS_GRAPH, trace_of(call.inputs.get("loss"))))
    return NodeResult(ui=preview(call, drawn, png_texts(call.context)))


def preview_any(call: NodeCall) -> NodeResult:
    """Show any value as text; scalars and texts as they are, other things as what they are called."""
    text = as_text(call.inputs.get("source"))
    return NodeResult((text,), {"text": [text]})


def preview(call: NodeCall, images: Images, texts: PngInfo | None = None) -> dict[str, list[object]]:
    """Write previews and return them in the form that nodes of the newer kind report."""
    return {"images": _write(call, images, temp_prefix(), texts), "animated": [False]}


def as_text(value: Value) -> str:
    match value:
        case str():
            return value
        case bool() | int() | float() | None:
            return str(value)
        case list() | dict():
            return json.dumps(value, indent=4, ensure_ascii=False, default=str)
        case _:
            return str(value)


def _plain(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, dict) else {}


def _write(call: NodeCall, images: Images, prefix: str, texts: PngInfo | None) -> list[object]:
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
