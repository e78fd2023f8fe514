"""Pictures from the input folder (or, with `name [output]`, from another)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest

from PIL import Image, ImageOps, ImageSequence

from worker.simulators.comfyui.classes.registry import Change
from worker.simulators.comfyui.classes.values import Masks, Pictures
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder

NO_MASK = (64, 64)
"""The size of the empty mask that comes with a picture without alpha."""


def load_image(call: NodeCall) -> Result:
    """All frames of the file that have the first one's size, and where they are transparent as a mask."""
    frames: list[Image.Image] = []
    masks: list[Image.Image] = []
    with Image.open(call.site.folders.named(call.text("image"))) as file:
        for raw in ImageSequence.Iterator(file):
            frame = ImageOps.exif_transpose(raw)
            if frames and frame.size != frames[0].size:
                continue
            frames.append(frame.convert("RGB"))
            masks.append(_transparency(frame))
    return Result((Pictures(tuple(frames)), Masks(tuple(masks))))


def load_mask(call: NodeCall) -> Result:
    """One channel as a mask; alpha counts the other way round."""
    channel = call.text("channel", "alpha")
    with Image.open(call.site.folders.named(call.text("image"))) as file:
        picture = ImageOps.exif_transpose(file).convert("RGBA")
    if channel == "alpha":
        mask = ImageOps.invert(picture.getchannel("A"))
    else:
        mask = picture.getchannel({"red": "R", "green": "G", "blue": "B"}[channel])
    return Result((Masks((mask,)),))


def _transparency(frame: Image.Image) -> Image.Image:
    if "A" in frame.getbands():
        return ImageOps.invert(frame.getchannel("A"))
    if frame.mode == "P" and "transparency" in frame.info:
        return ImageOps.invert(frame.convert("RGBA").getchannel("A"))
    return Image.new("L", NO_MASK, 0)


def _content(inputs: Mapping[str, object], folders: ComfyFolders) -> str:
    """The hash of the file, so that a new upload under the old name is noticed."""
    try:
        with folders.named(str(inputs.get("image"))).open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, OutsideFolder):
        return "unreadable"


NODES: Mapping[str, Node] = {"LoadImage": load_image, "LoadImageMask": load_mask, "LoadImageOutput": load_image}
CHANGES: Mapping[str, Change] = dict.fromkeys(NODES, _content)
