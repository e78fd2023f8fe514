"""Computes the size of the latents and images that the nodes of a prompt work on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.sizes.frame_counts import with_counts
from worker.load.features.sizes.resizing import joined, resized
from worker.load.features.sizes.size import AUDIO_SECOND, UPLOADED_IMAGE, UPLOADED_VIDEO, Size
from worker.workflow.numbers import number
from worker.workflow.prompt import Node

__all__ = ["AUDIO_SECOND", "UPLOADED_IMAGE", "UPLOADED_VIDEO", "ContentSizes", "Size"]

DEEPEST = 100  # maximum number of links to follow; after a longer chain the size is unknown

_LATENT, _IMAGE, _OTHER, _NONE = range(4)
_IMAGE_INPUT = re.compile(r"image|pixel|video|frames", re.IGNORECASE)
_FILE_INPUTS = ("image", "video", "file")
_NO_CONTENT = {"model", "clip", "vae", "positive", "negative", "conditioning", "sigmas", "noise", "guider", "sampler"}


class ContentSizes:
    """The sizes of content in one prompt. Each node is computed once.

    `files` maps the text of a file input, as it stands in the prompt, to the size of the file, where it is known.
    """

    def __init__(self, graph: PromptGraph, files: Mapping[str, Size] | None = None) -> None:
        self._graph = graph
        self._files = files or {}
        self._sizes: dict[str, Size | None] = {}

    def size_at(self, node_id: str) -> Size | None:
        """Return the size of the content that a node outputs, or None if it is not known."""
        return self._size(node_id, DEEPEST)

    def _size(self, node_id: str, depth: int) -> Size | None:
        """Return the size of the content that a node outputs, following at most `depth` links, or None."""
        if node_id in self._sizes or node_id not in self._graph.prompt or not depth:
            return self._sizes.get(node_id)
        self._sizes[node_id] = None  # the result inside a cycle
        node = self._graph.prompt[node_id]
        size = self._received_size(node_id, depth) or self._file_size(node) or self._audio_size(node)
        sides = self._side(node_id, "width", depth), self._side(node_id, "height", depth)
        size = resized(self._graph.prompt, node, size, sides, self._model_factor(node_id))
        is_whole_file = size is not None and size in self._files.values()
        if size is not None:
            self._sizes[node_id] = with_counts(self._graph.prompt, node, size, is_file=is_whole_file).limited
        return self._sizes[node_id]

    def _received_size(self, node_id: str, depth: int) -> Size | None:
        """Return the size of the content that a node receives, or None if it is not known.

        Latents come before images, and images before other links. Of several sources of one kind, the largest counts,
        except for nodes that join several pictures.
        """
        sources: tuple[list[str], list[str], list[str], list[str]] = [], [], [], []
        for name, (source, _) in self._graph.sources[node_id].items():
            sources[_kind_of_input(name)].append(source)
        for kind in (_LATENT, _IMAGE, _OTHER):
            sizes = [size for size in (self._size(source, depth - 1) for source in sources[kind]) if size is not None]
            if sizes:
                return joined(self._graph.prompt[node_id]["class_type"], sizes) if len(sizes) > 1 else sizes[0]
        return None

    def _side(self, node_id: str, name: str, depth: int) -> float | None:
        """Return the "width" or "height" that a node sets, or None. Follows a link to the size of other content."""
        node = self._graph.prompt[node_id]
        value = number(self._graph.prompt, node, name, f"custom_{name}", f"target_{name}", f"resize_type.{name}")
        source = self._graph.sources[node_id].get(name)
        if value is None and source is not None:
            size = self._size(source.node_id, depth - 1)
            if size is not None:
                return size.width if name == "width" else size.height
        return value

    def _audio_size(self, node: Node) -> Size | None:
        """Return the size of the audio that a node creates, one frame for each second, or None for another node."""
        seconds = number(self._graph.prompt, node, "seconds", "duration")
        return Size(AUDIO_SECOND, 1, frames=seconds) if seconds else None

    def _file_size(self, node: Node) -> Size | None:
        """Return the size of the file that a loader names, the assumed one if it is not known. None for other nodes."""
        inputs = node["inputs"]
        for name in _FILE_INPUTS:
            file = inputs.get(name)
            if isinstance(file, str) and file in self._files:
                return self._files[file]
        if isinstance(inputs.get("image"), str):
            return UPLOADED_IMAGE
        if isinstance(inputs.get("video"), str) or node["class_type"] == "LoadVideo":
            return UPLOADED_VIDEO
        return None

    def _model_factor(self, node_id: str) -> float:
        """Return the factor of the upscale model that is linked to a node, or 1 without one."""
        source = self._graph.sources[node_id].get("upscale_model")
        if source is None:
            return 1.0
        file = self._graph.prompt[source.node_id]["inputs"].get("model_name")
        return upscale_factor(file) if isinstance(file, str) else 1.0


@lru_cache(maxsize=512)
def upscale_factor(file: str) -> float:
    """Return the factor of an upscale model by its file name ("4x-UltraSharp.pth"). Most without a number have 4."""
    factor = re.search(r"([1-9])x|x([1-9])", file, re.IGNORECASE)
    return float(factor[1] or factor[2]) if factor else 4.0


@lru_cache(maxsize=2048)
def _kind_of_input(name: str) -> int:
    """Return what an input of this name receives: latents, images, anything else, or no content.

    "Anything else" are inputs of switches and reroutes, and audio.
    """
    if "audio" not in name and ("latent" in name or "sample" in name):
        return _LATENT
    if _IMAGE_INPUT.search(name):
        return _IMAGE
    return _NONE if name in _NO_CONTENT else _OTHER
