"""Nodes without linked inputs: images, masks, audio and primitive values."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from worker.simulators.comfyui.classes.values import Audio, Images, Masks, Value
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult


def filled(size: tuple[int, int], color: tuple[int, ...] | int) -> Image.Image:
    """Return an image of one colour, or a mask of one value when `color` is a number."""
    return Image.new("L" if isinstance(color, int) else "RGB", size, color)


def empty_image(call: NodeCall) -> NodeResult:
    """Return a batch of images of one colour, which is 0xRRGGBB."""
    size = call.integer("width"), call.integer("height")
    color = call.integer("color")
    image = filled(size, (color >> 16 & 255, color >> 8 & 255, color & 255))
    return NodeResult((Images((image,) * call.integer("batch_size")),))


def solid_mask(call: NodeCall) -> NodeResult:
    """Return a mask of one value from 0 to 1."""
    size = call.integer("width"), call.integer("height")
    return NodeResult((Masks((filled(size, round(call.number("value") * 255)),)),))


def empty_audio(call: NodeCall) -> NodeResult:
    """Return silence of `duration` seconds."""
    audio = Audio(call.number("duration"), call.integer("sample_rate"), call.integer("channels"))
    return NodeResult((audio,))


def primitive(call: NodeCall) -> NodeResult:
    """Return the value of the widget `value`."""
    if "value" not in call.inputs:
        raise NodeError(f"{call.node_class.name} is missing the input 'value'", "TypeError")
    value: Value = call.inputs["value"]
    return NodeResult((value,))


NODES: Mapping[str, NodeFunction] = {
    "EmptyImage": empty_image,
    "SolidMask": solid_mask,
    "EmptyAudio": empty_audio,
    "PrimitiveInt": primitive,
    "PrimitiveFloat": primitive,
    "PrimitiveString": primitive,
    "PrimitiveStringMultiline": primitive,
    "PrimitiveBoolean": primitive,
}
