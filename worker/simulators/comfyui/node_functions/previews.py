"""Nodes that show something in the editor and save nothing: they write files to temp, or report texts."""

from __future__ import annotations

import json
from collections.abc import Mapping

from PIL import ImageColor
from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.values import Masks, Pictures, Value, trace_of
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.folders import temp_prefix, temp_suffix
from worker.simulators.comfyui.node_functions.making import filled
from worker.simulators.comfyui.node_functions.saving import PREVIEW_COMPRESSION, png_texts, write_pngs
from worker.simulators.comfyui.node_functions.transform import each

LOSS_GRAPH = (840, 520)
BOX = {"x": 0, "y": 0, "width": 512, "height": 512}


def preview_image(call: NodeCall) -> Result:
    """The names keep their five letters for as long as the node is in every prompt."""
    pictures = call.pictures("images")
    prefix = "ComfyUI" + call.site.instances.preview_suffix(call.node_id, call.node_class.name)
    return Result((pictures,), {"images": _write(call, pictures, prefix, png_texts(call.site))})


def compare_images(call: NodeCall) -> Result:
    """Two lists of previews, one for each side of the slider; no metadata."""
    suffix = temp_suffix()
    shown = {}
    for side in ("a", "b"):
        value = call.inputs.get(f"image_{side}")
        pictures = None if value is None else coerce.pictures(value)
        prefix = f"comfy.compare.{side}{suffix}"
        shown[f"{side}_images"] = [] if pictures is None else _write(call, pictures, prefix, None)
    return Result(shown=shown)


def mask_preview(call: NodeCall) -> Result:
    masks = call.masks("mask")
    return Result((masks,), preview(call, Pictures(tuple(mask.convert("RGB") for mask in masks.frames))))


def crop(call: NodeCall) -> Result:
    """Cut a box out and show it, though no output node needs it."""
    given = call.inputs.get("crop_region")
    box = {**BOX, **{name: value for name, value in _plain(given).items() if isinstance(value, int)}}
    pictures = call.pictures("image")
    width, height = pictures.size
    left, top = min(box["x"], width - 1), min(box["y"], height - 1)
    edges = left, top, min(left + box["width"], width), min(top + box["height"], height)
    cut = each(pictures, lambda frame: frame.crop(edges))
    return Result((cut,), preview(call, cut))


def paint(call: NodeCall) -> Result:
    """The first picture, or a plain one, without what was painted on it."""
    given = call.inputs.get("image")
    color = ImageColor.getrgb(call.text("bg_color", "#000000"))
    size = call.integer("width", 512), call.integer("height", 512)
    pictures = Pictures(coerce.pictures(given).frames[:1] if given is not None else (filled(size, color),))
    return Result((pictures, Masks((filled(pictures.size, 0),))), preview(call, pictures))


def shade(call: NodeCall) -> Result:
    """The first picture unchanged in each slot; what came in is shown beside it."""
    given = [value for name, value in call.inputs.items() if name.startswith("images.") and value is not None]
    pictures = [coerce.pictures(value) for value in given]
    inputs = [file for group in pictures for file in _write(call, group, "GLSLShader_input", None)]
    shown = {"input_images": inputs, "images": _write(call, pictures[0], "GLSLShader_output", None)}
    return Result((pictures[0],) * len(call.node_class.outputs), shown)


def draw_boxes(call: NodeCall) -> Result:
    """A plain picture without boxes; only its size is reported."""
    size = call.integer("width"), call.integer("height")
    return Result((Pictures((filled(size, (0, 0, 0)),)), [], []), {"dims": list(size)})


def plot_loss(call: NodeCall) -> Result:
    """A picture of the size that the plot has, with metadata."""
    drawn = Pictures(placeholder.drawn(LOSS_GRAPH, trace_of(call.inputs.get("loss"))))
    return Result(shown=preview(call, drawn, png_texts(call.site)))


def preview_any(call: NodeCall) -> Result:
    """Show any value as text; scalars and texts as they are, other things as what they are called."""
    text = as_text(call.inputs.get("source"))
    return Result((text,), {"text": [text]})


def preview(call: NodeCall, pictures: Pictures, texts: PngInfo | None = None) -> dict[str, list[object]]:
    """Write previews and return them in the form that nodes of the newer kind report."""
    return {"images": _write(call, pictures, temp_prefix(), texts), "animated": [False]}


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


def _write(call: NodeCall, pictures: Pictures, prefix: str, texts: PngInfo | None) -> list[object]:
    return write_pngs(pictures, call.site.folders.place(prefix, "temp"), texts, PREVIEW_COMPRESSION)


NODES: Mapping[str, Node] = {
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
