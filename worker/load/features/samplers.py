"""Recognises the samplers in a prompt, and computes their work."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes, Size
from worker.load.features.evaluations import evaluations, evaluations_in_step
from worker.load.features.guidance import Guidance, guidance_of
from worker.load.features.models.architectures import UNKNOWN, Family
from worker.load.features.models.families import family_named, family_of_encoder, family_of_file, family_of_latent
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.step_count import STEPS, StepCounts
from worker.load.features.used_files import NamedFile, Role, UsedFiles, precision_of
from worker.load.node_work import NodeKind, NodeWork
from worker.workflow.numbers import number

DEFAULT_STEPS = 20.0
"""Steps of a sampler whose number of steps is not known."""
MOST_ADDED = 1000.0
"""Most evaluations that RES4LYF's options add to a step, and most cycles."""
LAUNCH_S = 18e-6
"""Seconds that the CPU needs to start one operation on the GPU."""
SPEED = {"fp8_fast": 0.7, "gguf": 1.19, "int8_convrot": 0.55, "svdq": 0.45, "nvfp4": 0.6}
"""Time of an evaluation with weights of a precision, relative to 16 bits. Others are computed in 16 bits."""
_NO_SAMPLER = re.compile(r"Scheduler$|^ModelSampling|^Context|^Apply|AddNoise|^PrepFor|Guides|^Save|Preview")
"""Classes that have steps or sigmas, or a model and a latent, and do not sample.

SaveLoRA puts the steps into the name of its file."""
_LATENTS = ("latent_image", "latent", "samples")
_MODELS = ("model", "guider")


class Samplers:
    """The samplers of one prompt."""

    def __init__(
        self, graph: PromptGraph, files: UsedFiles, sizes: ContentSizes, model_bytes: Mapping[str, int]
    ) -> None:
        self._graph = graph
        self._files = files
        self._sizes = sizes
        self._model_bytes = model_bytes
        self._step_counts = StepCounts(graph)
        self._schedulers = {
            source for sources in graph.sources.values() for name, (source, _) in sources.items() if "sigmas" in name
        }
        self._default_family: Family | None = None

    def steps_of(self, node_id: str) -> float | None:
        """Return the steps of a sampler, `DEFAULT_STEPS` if they are not known, or None if the node is no sampler.

        A node of any class is a sampler if it has steps, or sigmas from a node that has steps. A node with a model and
        a latent is a sampler too.
        """
        node, sources = self._graph.prompt[node_id], self._graph.sources[node_id]
        has_model = any(name in sources for name in _MODELS)
        looks_like_one = has_model and any(name in sources for name in _LATENTS)
        may_sample = looks_like_one or "sigmas" in node["inputs"] or not STEPS.isdisjoint(node["inputs"])
        if not may_sample and "steps_to_run" not in node["inputs"]:
            return None
        if not sources or node_id in self._schedulers or _is_no_sampler(node["class_type"]):
            return None
        steps = self._step_counts.steps_of(node_id)
        return DEFAULT_STEPS if steps is None and looks_like_one else steps

    def work(self, node_id: str, steps: float, coding_tflop: float = 0.0) -> NodeWork:
        """Return the work of a sampler that runs so many steps. `coding_tflop` is the work of its autoencoder."""
        loader = self._with_model(node_id)
        files = self._files.used(loader, Role.MODEL)
        family, precision = self._family(files)
        guidance = guidance_of(self._graph, self._sizes, loader, is_distilled=family.is_distilled)
        size = self.size_of(node_id)
        runs = self._evaluations(node_id, steps)
        network = family.network
        passes = guidance.passes * (1.0 + network.control * guidance.controls) * guidance.share
        names = (*self._files.names(loader, Role.MODEL), *self._files.names(loader, Role.CONTROL))
        return NodeWork(
            node_id,
            self._graph.prompt[node_id]["class_type"],
            NodeKind.SAMPLER,
            family=family.name,
            precision=precision,
            shape=_shape(size, guidance, evaluations_in_step(self._sampler_name(node_id))),
            tflop=coding_tflop
            + runs * passes * SPEED.get(precision, 1.0) * network.tflop(size, guidance.reference_pixels),
            fixed_s=runs * network.launches * (1.0 + network.control * guidance.controls) * LAUNCH_S * guidance.share,
            steps=steps,
            models=tuple(dict.fromkeys(names)),
        )

    def _with_model(self, node_id: str) -> str:
        """Return the sampler whose model a node uses: itself, or the one that a chain sampler continues."""
        for current in self._graph.upstream(node_id, _LATENTS.__contains__):
            if any(name in self._graph.sources[current] for name in _MODELS):
                return current
        return node_id

    def size_of(self, node_id: str) -> Size:
        """Return the size of the content that a sampler works on. A detailer works on squares cut from the picture."""
        node = self._graph.prompt[node_id]
        side = number(self._graph.prompt, node, "guide_size")
        if side:
            return Size(side, side)
        return self._sizes.size_at(node_id) or UPLOADED_IMAGE

    def _family(self, files: list[NamedFile]) -> tuple[Family, str]:
        """Return the family and the precision of the model that a sampler uses, of which these are the files."""
        models = [named for named in files if named.role is not Role.LORA]
        for named in models:
            family = family_named(named.file)
            if family is not None:
                return family, self._precision(named)
        precision = self._precision(models[0]) if models else ""
        family = self._default_family = self._default_family or self._family_without_name()
        if family is not UNKNOWN or not models:
            return family, precision
        named = models[0]
        size = self._model_bytes.get(named.file)
        return family_of_file(named.file, size, is_checkpoint=named.role is Role.CHECKPOINT), precision

    def _precision(self, named: NamedFile) -> str:
        """Return the precision of a model."""
        weight_dtype = self._graph.prompt[named.loader]["inputs"].get("weight_dtype")
        return precision_of(named.file, weight_dtype if isinstance(weight_dtype, str) else None)

    def _family_without_name(self) -> Family:
        """Return the family that the text encoders or the latents of the prompt suggest."""
        for node in self._graph.prompt.values():
            encoder_type = node["inputs"].get("type") if "CLIP" in node["class_type"] else None
            family = family_of_encoder(encoder_type) if isinstance(encoder_type, str) else None
            if family is not None:
                return family
        latents = (family_of_latent(node["class_type"]) for node in self._graph.prompt.values())
        return next((family for family in latents if family), UNKNOWN)

    def _sampler_name(self, node_id: str) -> str:
        """Return the name of the algorithm that a sampler uses, from itself or the linked node, or an empty text."""
        for current in self._graph.upstream(node_id, "sampler".__eq__):
            node = self._graph.prompt[current]
            name = node["inputs"].get("sampler_name")
            if isinstance(name, str):
                return name
            if current != node_id and node["class_type"].startswith("Sampler"):  # such as SamplerDPMPP_SDE
                return node["class_type"].removeprefix("Sampler")
        return ""

    def _evaluations(self, node_id: str, steps: float) -> float:
        """Return the evaluations of a sampler in all steps, with those that RES4LYF's options add."""
        prompt, name = self._graph.prompt, self._sampler_name(node_id)
        in_step, added, cycles = evaluations_in_step(name), 0.0, 0.0
        for current in self._graph.upstream(node_id, lambda input_name: input_name.startswith("options"))[1:]:
            node = prompt[current]
            added += (number(prompt, node, "implicit_steps") or 0.0) * (in_step + 1.0)
            added += (number(prompt, node, "implicit_substeps") or 0.0) * in_step * 2.0
            cycles += number(prompt, node, "cycles") or 0.0
        part = prompt[node_id]["inputs"].get("steps_to_run")
        if not isinstance(part, int) or part < 0:  # cycles only go back over a part of the steps
            cycles = 0.0
        return (evaluations(name, steps) + steps * min(added, MOST_ADDED)) * (1.0 + 2.0 * min(cycles, MOST_ADDED))


@lru_cache(maxsize=2048)
def _is_no_sampler(class_type: str) -> bool:
    """Return whether nodes of a class do not sample, although they look like it."""
    return _NO_SAMPLER.search(class_type) is not None


def _shape(size: Size, guidance: Guidance, calls: float) -> str:
    """Return a name for what the cost of a step depends on, except for the family."""
    octaves = round(2 * math.log2(max(size.area, 1.0))) / 2
    frames = round(2 * math.log2(max(size.frames, 1.0))) / 2
    references = round(guidance.reference_pixels / 1e6)
    return (
        f"2^{octaves:g}px,2^{frames:g}f,b{size.batch:g},s{calls:g},p{guidance.passes:g}"
        f",c{guidance.controls:g},r{references},x{guidance.share:g}"
    )
