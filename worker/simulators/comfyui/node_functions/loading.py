"""Nodes that load images from the input folder, or from another one with a name such as `x.png [output]`."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

from PIL import Image, ImageOps

from worker.simulators.comfyui.classes.registry import Fingerprint
from worker.simulators.comfyui.classes.values import Images, Masks
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder
from worker.simulators.comfyui.media.image_decoding import DecodedFrame, decode_frames

NO_MASK = (64, 64)
"""The size of the empty mask for an image without alpha."""

_INVALID = "[Errno 1094995529] Invalid data found when processing input: {!r}"


def load_image(call: NodeCall) -> NodeResult:
    """Return all frames with the size of the first one, and masks that are white where the frames are transparent."""
    frames = _frames(call)
    return NodeResult((Images(tuple(frame.image for frame in frames)), Masks(tuple(map(_mask, frames)))))


def load_mask(call: NodeCall) -> NodeResult:
    """Return one channel as a mask. Alpha is inverted, as in LoadImage's own mask."""
    channel = call.text("channel", "alpha")
    frames = _frames(call)
    if channel == "alpha":
        return NodeResult((Masks(tuple(map(_mask, frames))),))
    band = {"red": "R", "green": "G", "blue": "B"}[channel]
    return NodeResult((Masks(tuple(frame.image.getchannel(band) for frame in frames)),))


def _frames(call: NodeCall) -> list[DecodedFrame]:
    """Decode the file of the input `image`. Raises NodeError as FFmpeg does for a folder or an empty file."""
    path = call.context.folders.resolve(call.text("image"))
    if path.is_dir():
        raise NodeError(f"[Errno 21] Is a directory: {str(path)!r}", "av.error.IsADirectoryError")
    if _is_empty(path):
        raise NodeError(_INVALID.format(str(path)), "av.error.InvalidDataError")
    frames: list[DecodedFrame] = []
    with Image.open(path) as file:
        for frame in decode_frames(file):
            if not frames or frame.image.size == frames[0].image.size:
                frames.append(frame)
    return frames


def _mask(frame: DecodedFrame) -> Image.Image:
    """Return the mask of a frame: its inverted alpha channel, or an empty mask."""
    return Image.new("L", NO_MASK, 0) if frame.alpha is None else ImageOps.invert(frame.alpha)


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _content(inputs: Mapping[str, object], folders: ComfyFolders) -> str:
    """Return the SHA-256 of the file, so that the node runs again after an upload under the same name."""
    try:
        with folders.resolve(str(inputs.get("image"))).open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, OutsideFolder):
        return "unreadable"


NODES: Mapping[str, NodeFunction] = {"LoadImage": load_image, "LoadImageMask": load_mask, "LoadImageOutput": load_image}
FINGERPRINTS: Mapping[str, Fingerprint] = dict.fromkeys(NODES, _content)
