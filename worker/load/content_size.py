"""How large the latents and images are that flow through a prompt, followed back to where they come from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from worker.workflow.numbers import number
from worker.workflow.prompt import Node, Prompt, links

DEEPEST = 100  # links followed; a longer chain has an unknown size
AUDIO_SECOND = 128 * 128  # pixels that a second of audio is taken for

_FRAMES = ("length", "num_frames", "video_frames", "frame_count", "frames", "frame_load_cap")
_SCALES = ("scale_by", "upscale_by", "resize_type.multiplier")
_PICTURES = re.compile(r"image|pixel|video|frames", re.IGNORECASE)
_NO_CONTENT = {"model", "clip", "vae", "positive", "negative", "conditioning", "sigmas", "noise", "guider", "sampler"}


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels of one frame, as width and height, frames of one item, items of a batch."""

    width: float
    height: float
    frames: float = 1.0
    batch: float = 1.0

    @property
    def pixels(self) -> float:
        """All pixels together."""
        return self.width * self.height * self.frames * self.batch


# What a file of the client's is taken for as long as nobody has looked into it.
UPLOADED_IMAGE = Size(1024, 1024)
UPLOADED_VIDEO = Size(832, 480, 81)


class ContentSizes:
    """The sizes in one prompt; each node is looked at once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._known: dict[str, Size | None] = {}

    def at(self, node_id: str) -> Size | None:
        """Return the size of what a node works on and hands on, None if nothing tells it."""
        return self._of(node_id, DEEPEST)

    def _of(self, node_id: str, depth: int) -> Size | None:
        if node_id in self._known or node_id not in self._prompt or not depth:
            return self._known.get(node_id)
        self._known[node_id] = None  # met again inside a cycle
        node = self._prompt[node_id]
        self._known[node_id] = self._change(node, self._source(node, depth), depth)
        return self._known[node_id]

    def _source(self, node: Node, depth: int) -> Size | None:
        for alike in _content_links(node):
            found = [size for source in alike if (size := self._of(source, depth - 1))]
            if found:
                return max(found, key=lambda size: size.pixels)
        return None

    def _change(self, node: Node, size: Size | None, depth: int) -> Size | None:
        """Apply what the node itself says of width, height, frames and batch."""
        size = size or _loaded(node) or self._audio(node)
        width, height = self._side(node, "width", 0, depth), self._side(node, "height", 1, depth)
        if "width" in node["inputs"] or width or height:
            before = size or UPLOADED_IMAGE
            size = replace(before, width=width or before.width, height=height or before.height)
        megapixels = self._number(node, "megapixels", "megapixel", "resize_type.megapixels")
        if megapixels and not (width or height):
            side = math.sqrt(megapixels) * 1024
            size = replace(size or UPLOADED_IMAGE, width=side, height=side)
        return self._count(node, self._scale(node, size)) if size else None

    def _scale(self, node: Node, size: Size) -> Size:
        factor = self._number(node, *_SCALES) or self._model_factor(node)
        return replace(size, width=size.width * factor, height=size.height * factor)

    def _count(self, node: Node, size: Size) -> Size:
        frames, batch = self._number(node, *_FRAMES), self._number(node, "batch_size")
        if frames is None and any(isinstance(node["inputs"].get(name), list) for name in _FRAMES):
            frames = UPLOADED_VIDEO.frames  # computed by nodes that can't be followed
        if "batch_index" in node["inputs"]:  # a part taken out of a batch
            return replace(size, batch=frames or 1.0)
        times = self._number(node, "amount") if node["class_type"].startswith("Repeat") else None
        return replace(size, frames=frames or size.frames, batch=(batch or size.batch) * (times or 1.0))

    def _side(self, node: Node, name: str, slot: int, depth: int) -> float | None:
        """A side may be linked from a node that measures an image or chooses a resolution."""
        value = self._number(node, name, f"custom_{name}", f"resize_type.{name}")
        link = node["inputs"].get(name)
        match link:
            case [str(source), int()] if value is None:
                size = self._of(source, depth - 1)
                return (size.width, size.height)[slot] if size else None
        return value

    def _audio(self, node: Node) -> Size | None:
        seconds = self._number(node, "seconds", "duration")
        return Size(AUDIO_SECOND, 1, frames=seconds) if seconds else None

    def _model_factor(self, node: Node) -> float:
        """Upscale models say their factor in the file's name ("4x-UltraSharp.pth"); most are 4."""
        match node["inputs"].get("upscale_model"):
            case [str(source), int()] if source in self._prompt:
                file = self._prompt[source]["inputs"].get("model_name")
                named = re.search(r"([1-9])x|x([1-9])", file, re.IGNORECASE) if isinstance(file, str) else None
                return float(named[1] or named[2]) if named else 4.0
        return 1.0

    def _number(self, node: Node, *names: str) -> float | None:
        return number(self._prompt, node, *names)


def _content_links(node: Node) -> tuple[list[str], list[str], list[str]]:
    """Sources in the order to ask: latents, then pictures, then what may be anything (switches, reroutes, sound)."""
    latents, pictures, others = [], [], []
    for name, source, _ in links(node):
        if "audio" not in name and ("latent" in name or "sample" in name):
            latents.append(source)
        elif _PICTURES.search(name):
            pictures.append(source)
        elif name not in _NO_CONTENT:
            others.append(source)
    return latents, pictures, others


def _loaded(node: Node) -> Size | None:
    """A node without links that names a file, by the input that the loaders have for it."""
    if isinstance(node["inputs"].get("image"), str):
        return UPLOADED_IMAGE
    if isinstance(node["inputs"].get("video"), str) or node["class_type"] == "LoadVideo":
        return UPLOADED_VIDEO
    return None
