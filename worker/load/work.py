"""Computes the work of a prompt: the nodes that will run, and what each of them costs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from worker.load.features.ancestry import ancestry
from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes, Size
from worker.load.features.model_files import ModelFiles, Role
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.samplers import Samplers
from worker.load.gpu_classes import REFERENCE
from worker.load.node_work import JobWork, NodeKind, NodeWork
from worker.load.prior import prior_seconds
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

FLOOR, CEILING = 0.01, 1e6
"""Smallest and largest number of units. JSON has no infinity."""

DECODE, ENCODE = 5.0, 2.5
"""10^12 operations of a VAE for each megapixel of a frame."""
UPSCALE = 36.7
"""10^12 operations of an upscale model for each megapixel of its input."""
TEXT_ENCODE_S, OTHER_S, API_S = 0.1, 0.002, 15.0
SAVE_S, SAVE_MEGAPIXEL_S = 0.05, 0.15

_SAVES = re.compile(r"^Save|^Preview|VideoCombine|SaveImage")
_ENCODES_TEXT = re.compile(r"TextEncode|Text.*Encode")


def job_work(
    prompt: Prompt,
    catalog: Catalog | None = None,
    sizes: Mapping[str, Size] | None = None,
    model_bytes: Mapping[str, int | None] | None = None,
) -> JobWork:
    """Return the work of a prompt. Never raises.

    `sizes` maps the text of a file input, as it stands in the prompt, to the size of the file. `model_bytes` are the
    sizes of model files, where they are known. Without a catalog, every node that no other node uses counts as an
    output.
    """
    graph = PromptGraph(prompt)
    known_bytes = {file: size for file, size in (model_bytes or {}).items() if size}
    nodes = _nodes(graph, catalog, sizes, known_bytes)
    return JobWork(tuple(nodes), _units(nodes), ancestry(graph), known_bytes)


def units(prompt: Prompt, catalog: Catalog | None = None, sizes: Mapping[str, Size] | None = None) -> float:
    """Return the units of `job_work`, without its other parts."""
    return _units(_nodes(PromptGraph(prompt), catalog, sizes, {}))


def _units(nodes: list[NodeWork]) -> float:
    """Return the units of nodes, which are seconds on the reference GPU. Nodes that run elsewhere do not count."""
    seconds = sum(prior_seconds(node, REFERENCE) for node in nodes if node.kind is not NodeKind.API)
    return min(max(seconds, FLOOR), CEILING)


def _nodes(
    graph: PromptGraph, catalog: Catalog | None, sizes: Mapping[str, Size] | None, model_bytes: dict[str, int]
) -> list[NodeWork]:
    """Return the work of each node that will run."""
    files, content = ModelFiles(graph), ContentSizes(graph, sizes)
    samplers = Samplers(graph, files, content, model_bytes)
    works = _Works(graph, files, content, samplers, catalog)
    return [works.work(node_id) for node_id in graph.running(catalog)]


class _Works:
    """The work of the nodes of one prompt."""

    def __init__(
        self,
        graph: PromptGraph,
        files: ModelFiles,
        sizes: ContentSizes,
        samplers: Samplers,
        catalog: Catalog | None,
    ) -> None:
        self._graph = graph
        self._files = files
        self._sizes = sizes
        self._samplers = samplers
        self._catalog = catalog

    def work(self, node_id: str) -> NodeWork:
        """Return the work of a node."""
        class_type = self._graph.prompt[node_id]["class_type"]
        node_class = self._catalog[class_type] if self._catalog and class_type in self._catalog else None
        if node_class is not None and node_class.api_node:
            return NodeWork(node_id, class_type, NodeKind.API, fixed_s=API_S)
        steps = self._samplers.steps_of(node_id)
        if steps:
            return self._samplers.work(node_id, steps)
        names = {name: source for name, source, _ in self._graph.sources[node_id]}
        return self._model_work(node_id, class_type, names) or self._plain_work(node_id, class_type)

    def _model_work(self, node_id: str, class_type: str, names: Mapping[str, str]) -> NodeWork | None:
        """Return the work of a node that runs a VAE, a text encoder or an upscale model, or None for another node."""
        if "upscale_model" in names and "image" in names:
            return self._pixel_work(node_id, NodeKind.UPSCALE, names["image"], UPSCALE, None)
        if "clip" in names and _encodes_text(class_type):
            models = self._used(node_id, Role.ENCODER)
            return NodeWork(node_id, class_type, NodeKind.TEXT_ENCODE, fixed_s=TEXT_ENCODE_S, models=models)
        if "vae" not in names:
            return None
        samples = names.get("samples") or names.get("latent")
        pixels = names.get("pixels") or names.get("image") or names.get("start_image")
        if samples and "Encode" not in class_type:
            return self._pixel_work(node_id, NodeKind.VAE_DECODE, samples, DECODE, Role.VAE)
        return self._pixel_work(node_id, NodeKind.VAE_ENCODE, pixels, ENCODE, Role.VAE) if pixels else None

    def _plain_work(self, node_id: str, class_type: str) -> NodeWork:
        """Return the work of a node that loads files, saves content, or does anything else."""
        reads = tuple(dict.fromkeys(file for _, file in self._files.named(node_id)))
        if reads or class_type.startswith("Load"):
            return NodeWork(node_id, class_type, NodeKind.LOAD, fixed_s=OTHER_S, reads=reads)
        if _saves(class_type):
            size = self._sizes.size_at(node_id)
            megapixels = size.pixels / 1e6 if size else 0.0
            seconds = SAVE_S + SAVE_MEGAPIXEL_S * megapixels
            return NodeWork(node_id, class_type, NodeKind.SAVE, shape=_area(megapixels), fixed_s=seconds)
        return NodeWork(node_id, class_type, fixed_s=OTHER_S)

    def _pixel_work(self, node_id: str, kind: NodeKind, source: str, tflop: float, role: Role | None) -> NodeWork:
        """Return the work of a node that runs a model over the pixels of another node's content."""
        class_type = self._graph.prompt[node_id]["class_type"]
        megapixels = (self._sizes.size_at(source) or UPLOADED_IMAGE).pixels / 1e6
        models = self._used(node_id, role) if role else self._upscaler(node_id)
        return NodeWork(
            node_id, class_type, kind, shape=_area(megapixels), tflop=tflop * megapixels, fixed_s=0.01, models=models
        )

    def _used(self, node_id: str, role: Role) -> tuple[str, ...]:
        """Return the names of the files of this role that a node uses."""
        return tuple(dict.fromkeys(file for _, file in self._files.used(node_id, role)))

    def _upscaler(self, node_id: str) -> tuple[str, ...]:
        """Return the names of the files of the upscale model that a node uses."""
        loaders = self._graph.upstream(node_id, lambda name: name == "upscale_model")
        return tuple(dict.fromkeys(file for loader in loaders for _, file in self._files.named(loader)))


def _area(megapixels: float) -> str:
    """Return the name of a size class: half octaves of megapixels."""
    return f"2^{round(2 * math.log2(megapixels)) / 2:g}Mpx" if megapixels > 0 else "0Mpx"


@lru_cache(maxsize=2048)
def _saves(class_type: str) -> bool:
    """Return whether nodes of a class save content."""
    return _SAVES.search(class_type) is not None


@lru_cache(maxsize=2048)
def _encodes_text(class_type: str) -> bool:
    """Return whether nodes of a class encode a text."""
    return _ENCODES_TEXT.search(class_type) is not None
