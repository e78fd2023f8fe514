"""Computes the size of the latents and images that the nodes of a prompt work on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.numbers import number
from worker.workflow.prompt import Node

DEEPEST = 100  # maximum number of links to follow; after a longer chain the size is unknown
AUDIO_SECOND = 128 * 128  # one second of audio counts as this number of pixels

_FRAMES = ("length", "num_frames", "video_frames", "frame_count", "frames", "frame_load_cap")
_SCALES = ("scale_by", "upscale_by", "resize_type.multiplier")
_IMAGE_INPUT = re.compile(r"image|pixel|video|frames", re.IGNORECASE)
_FILE_INPUTS = ("image", "video", "file")
_NO_CONTENT = {"model", "clip", "vae", "positive", "negative", "conditioning", "sigmas", "noise", "guider", "sampler"}


@dataclass(frozen=True, slots=True)
class Size:
    """The size of content: width and height of a frame in pixels, number of frames, and items in the batch."""

    width: float
    height: float
    frames: float = 1.0
    batch: float = 1.0

    @property
    def pixels(self) -> float:
        """Number of pixels in all frames of all items."""
        return self.width * self.height * self.frames * self.batch


# Assumed sizes of uploaded files, because the files are not read here.
UPLOADED_IMAGE = Size(1024, 1024)
UPLOADED_VIDEO = Size(832, 480, 81)


class ContentSizes:
    """The sizes of content in one prompt. Each node is computed once.

    `files` maps the text of a file input to the true size of the file, where it is known.
    """

    def __init__(self, graph: PromptGraph, files: Mapping[str, Size] | None = None) -> None:
        self._graph = graph
        self._prompt = graph.prompt
        self._files = files or {}
        self._sizes: dict[str, Size | None] = {}

    def size_at(self, node_id: str) -> Size | None:
        """Return the size of the content that a node outputs, or None if it is not known."""
        return self._size(node_id, DEEPEST)

    def _size(self, node_id: str, depth: int) -> Size | None:
        """Return the size of the content that a node outputs, following at most `depth` links, or None."""
        if node_id in self._sizes or node_id not in self._prompt or not depth:
            return self._sizes.get(node_id)
        self._sizes[node_id] = None  # the result inside a cycle
        node = self._prompt[node_id]
        self._sizes[node_id] = self._size_after(node, self._received_size(node_id, depth), depth)
        return self._sizes[node_id]

    def _received_size(self, node_id: str, depth: int) -> Size | None:
        """Return the size of the content that a node receives, or None if it is not known.

        Latents come before images, and images before other links. Of several sources of one kind, the largest counts.
        """
        for sources in _content_links(self._graph, node_id):
            source_sizes = [self._size(source, depth - 1) for source in sources]
            sizes = [size for size in source_sizes if size is not None]
            if sizes:
                return max(sizes, key=lambda size: size.pixels)
        return None

    def _size_after(self, node: Node, size: Size | None, depth: int) -> Size | None:
        """Return the size of the content that a node outputs, or None if it is not known.

        `size` is the size that it receives. The node may set width, height, frames and batch itself.
        """
        if size is None:  # the node may load a file or create audio
            size = self._file_size(node) or self._audio_size(node)
        width, height = self._side(node, "width", depth), self._side(node, "height", depth)
        if "width" in node["inputs"] or width or height:  # a width that is not known keeps the received or assumed one
            received = size or UPLOADED_IMAGE
            size = replace(received, width=width or received.width, height=height or received.height)
        megapixels = self._number(node, "megapixels", "megapixel", "resize_type.megapixels")
        if megapixels and not (width or height):
            side = math.sqrt(megapixels) * 1024  # ComfyUI's megapixel is a square of 1024x1024 pixels
            size = replace(size or UPLOADED_IMAGE, width=side, height=side)
        if size is None:
            return None
        return self._with_counts(node, self._scaled(node, size))

    def _scaled(self, node: Node, size: Size) -> Size:
        """Return the size with width and height multiplied by the scale factor of the node, or of its upscale model."""
        factor = self._number(node, *_SCALES) or self._model_factor(node)
        return replace(size, width=size.width * factor, height=size.height * factor)

    def _with_counts(self, node: Node, size: Size) -> Size:
        """Return the size with the number of frames and the batch size that the node sets, if it sets any."""
        frames, batch = self._number(node, *_FRAMES), self._number(node, "batch_size")
        if frames is None and any(isinstance(node["inputs"].get(name), list) for name in _FRAMES):
            frames = UPLOADED_VIDEO.frames  # linked to a node whose value is not known
        if "batch_index" in node["inputs"]:  # takes a part of a batch, and `length` is the number of its items
            return replace(size, batch=frames or 1.0)
        repeats = self._number(node, "amount") if node["class_type"].startswith("Repeat") else None
        return replace(size, frames=frames or size.frames, batch=(batch or size.batch) * (repeats or 1.0))

    def _side(self, node: Node, name: str, depth: int) -> float | None:
        """Return the "width" or "height" that a node sets, or None. Follows a link to the size of other content."""
        value = self._number(node, name, f"custom_{name}", f"resize_type.{name}")
        link = node["inputs"].get(name)
        match link:
            case [str(source), int()] if value is None:
                size = self._size(source, depth - 1)
                if size is None:
                    return None
                return size.width if name == "width" else size.height
        return value

    def _audio_size(self, node: Node) -> Size | None:
        """Return the size of the audio that a node creates, one frame for each second, or None for another node."""
        seconds = self._number(node, "seconds", "duration")
        return Size(AUDIO_SECOND, 1, frames=seconds) if seconds else None

    def _file_size(self, node: Node) -> Size | None:
        """Return the size of the file that a loader names, the assumed one if it is not known. None for other nodes."""
        for name in _FILE_INPUTS:
            file = node["inputs"].get(name)
            if isinstance(file, str) and file in self._files:
                return self._files[file]
        if isinstance(node["inputs"].get("image"), str):
            return UPLOADED_IMAGE
        if isinstance(node["inputs"].get("video"), str) or node["class_type"] == "LoadVideo":
            return UPLOADED_VIDEO
        return None

    def _model_factor(self, node: Node) -> float:
        """Return the factor of the upscale model that is linked to a node, or 1 without one.

        File names contain the factor ("4x-UltraSharp.pth"). Most models without it have the factor 4.
        """
        match node["inputs"].get("upscale_model"):
            case [str(source), int()] if source in self._prompt:
                file = self._prompt[source]["inputs"].get("model_name")
                factor = re.search(r"([1-9])x|x([1-9])", file, re.IGNORECASE) if isinstance(file, str) else None
                return float(factor[1] or factor[2]) if factor else 4.0
        return 1.0

    def _number(self, node: Node, *names: str) -> float | None:
        """Return the value of the first of these inputs that is a number, or None."""
        return number(self._prompt, node, *names)


def _content_links(graph: PromptGraph, node_id: str) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of the nodes from which a node receives content: (latents, images, others).

    Others are inputs of switches and reroutes, and audio. Links to models, conditionings and the like are omitted.
    """
    latents, images, others = [], [], []
    for name, source, _ in graph.sources[node_id]:
        if "audio" not in name and ("latent" in name or "sample" in name):
            latents.append(source)
        elif _IMAGE_INPUT.search(name):
            images.append(source)
        elif name not in _NO_CONTENT:
            others.append(source)
    return latents, images, others
