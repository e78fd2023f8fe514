"""Recognises the samplers in a prompt, and computes their work."""

from __future__ import annotations

import math
from collections.abc import Iterable

from worker.load.features.architectures import Family
from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes, Size
from worker.load.features.families import family_named, family_of_encoder, family_of_size
from worker.load.features.guidance import Guidance, guidance_of
from worker.load.features.model_files import ModelFiles, Role, precision_of
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.sampler_stages import stages
from worker.load.features.step_count import STEPS, StepCounts
from worker.load.node_work import NodeKind, NodeWork

DEFAULT_STEPS = 20.0
"""Steps of a sampler whose number of steps is not known."""
CONTROL = 0.45
"""Work of a ControlNet in an evaluation, relative to the work of the model itself."""


class Samplers:
    """The samplers of one prompt."""

    def __init__(self, graph: PromptGraph, files: ModelFiles, sizes: ContentSizes, model_bytes: dict[str, int]) -> None:
        self._graph = graph
        self._files = files
        self._sizes = sizes
        self._model_bytes = model_bytes
        self._step_counts = StepCounts(graph.prompt)
        self._schedulers = {
            source for sources in graph.sources.values() for name, source, _ in sources if "sigmas" in name
        }
        self._encoder_family = _encoder_family(graph)

    def steps_of(self, node_id: str) -> float:
        """Return the steps of a node, `DEFAULT_STEPS` for a sampler with unknown steps, or 0 if it is no sampler.

        A node of any class is a sampler if it has steps, or sigmas from a node that has steps. A node with a model and
        a latent is a sampler too.
        """
        node = self._graph.prompt[node_id]
        sources = self._graph.sources[node_id]
        names = {name for name, _, _ in sources}
        looks_like_one = bool(names & {"model", "guider"}) and bool(names & {"latent_image", "latent", "samples"})
        may_sample = looks_like_one or "sigmas" in node["inputs"] or not STEPS.isdisjoint(node["inputs"])
        is_scheduler = node_id in self._schedulers or node["class_type"].endswith("Scheduler")
        if not may_sample or is_scheduler or not sources:
            return 0.0
        steps = self._step_counts.steps_of(node)
        if steps is None:
            return DEFAULT_STEPS if looks_like_one else 0.0
        return steps

    def work(self, node_id: str, steps: float) -> NodeWork:
        """Return the work of a sampler."""
        used = self._files.used(node_id, Role.MODEL)
        family, precision = self._family(used)
        guidance = guidance_of(self._graph, self._sizes, node_id, is_distilled=family.is_guidance_distilled)
        size = self._sizes.size_at(node_id) or UPLOADED_IMAGE
        calls = stages(self._sampler_name(node_id))
        evaluation = family.network.tflop(size, guidance.reference_pixels)
        controls = [file for _, file in self._files.used(node_id, Role.CONTROL)]
        return NodeWork(
            node_id,
            self._graph.prompt[node_id]["class_type"],
            NodeKind.SAMPLER,
            family=family.name,
            precision=precision,
            shape=_shape(size, guidance, calls),
            tflop=steps * calls * guidance.passes * (1.0 + CONTROL * guidance.controls) * evaluation,
            fixed_s=steps * calls * family.evaluation_s,
            steps=steps,
            models=tuple(dict.fromkeys([*(file for _, file in used), *controls])),
        )

    def _family(self, used: Iterable[tuple[str, str]]) -> tuple[Family, str]:
        """Return the family and the precision of the model that a sampler uses. `used` are its loaders and files."""
        unknown: list[tuple[str, str]] = []
        for loader, file in used:
            node = self._graph.prompt[loader]
            if any("lora" in name and value == file for name, value in node["inputs"].items()):
                continue
            family = family_named(file)
            if family is not None:
                return family, precision_of(file, node["inputs"].get("weight_dtype"))
            unknown.append((loader, file))
        if self._encoder_family is not None:
            return self._encoder_family, precision_of(unknown[0][1]) if unknown else ""
        if not unknown:
            return family_of_size("", None, is_checkpoint=False), ""
        loader, file = unknown[0]
        is_checkpoint = "ckpt_name" in self._graph.prompt[loader]["inputs"]
        return family_of_size(file, self._model_bytes.get(file), is_checkpoint=is_checkpoint), precision_of(file)

    def _sampler_name(self, node_id: str) -> str:
        """Return the name of the algorithm that a sampler uses, from itself or the linked node, or an empty text."""
        for current in self._graph.upstream(node_id, lambda name: name == "sampler"):
            name = self._graph.prompt[current]["inputs"].get("sampler_name")
            if isinstance(name, str):
                return name
        return ""


def _encoder_family(graph: PromptGraph) -> Family | None:
    """Return the family that the types of the text encoder loaders suggest, or None."""
    for node in graph.prompt.values():
        encoder_type = node["inputs"].get("type") if "CLIP" in node["class_type"] else None
        family = family_of_encoder(encoder_type) if isinstance(encoder_type, str) else None
        if family is not None:
            return family
    return None


def _shape(size: Size, guidance: Guidance, calls: float) -> str:
    """Return a name for what the cost of a step depends on, except for the family."""
    octaves = round(2 * math.log2(max(size.width * size.height, 1.0))) / 2
    frames = round(2 * math.log2(max(size.frames, 1.0))) / 2
    references = round(guidance.reference_pixels / 1e6)
    return (
        f"2^{octaves:g}px,2^{frames:g}f,b{size.batch:g},s{calls:g},p{guidance.passes:g}"
        f",c{guidance.controls},r{references}"
    )
