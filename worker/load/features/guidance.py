"""Finds what a sampler evaluates in each step next to the content itself: passes, ControlNets and references."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.sizes.resizing import MEGAPIXEL
from worker.workflow.numbers import number

_CONDITIONING = re.compile(r"positive|conditioning|^cond|guider")
_MODEL = re.compile(r"model(?!_patch)|guider")
_EXTRA_PASS = re.compile(r"PerturbedAttention|SelfAttentionGuidance")
_COMBINES = re.compile(r"Conditioning.*Combine|Combine.*Conditioning")
_CONTROL_INPUTS = ("control_net", "controlnet", "model_patch")
_SKIPS_STEPS = re.compile(r"TeaCache|EasyCache|LazyCache|MagCache|FirstBlockCache|FBCache")
_COMPILES = re.compile(r"TorchCompile|CompileModel")
SKIPPED = 0.6
"""Share of the work that is left with a node that skips evaluations which change little."""
COMPILED = 0.67
"""Time of a compiled model relative to one that is not: it fuses the many small operations between matrix products."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a sampler evaluates in each step.

    `passes` counts the passes of the model for each item (2 for classifier-free guidance), and `controls` the
    ControlNets, those that are active in a part of the steps by that part. `share` is the time that is left by nodes
    which make the model faster.
    """

    passes: float
    controls: float = 0.0
    reference_pixels: float = 0.0
    share: float = 1.0


def guidance_of(graph: PromptGraph, sizes: ContentSizes, node_id: str, *, is_distilled: bool) -> Guidance:
    """Return the guidance of a sampler. `is_distilled` models make one pass if the prompt does not set a guidance."""
    controls, references, combined, has_ranges = 0.0, 0.0, 0, False
    for current in graph.upstream(node_id, _is_conditioning):
        class_type, sources = graph.prompt[current]["class_type"], graph.sources[current]
        controls += _active_control(graph, current)
        if "ReferenceLatent" in class_type and "latent" in sources:
            references += (sizes.size_at(sources["latent"].node_id) or UPLOADED_IMAGE).pixels
        elif "vae" in sources and "TextEncode" in class_type:  # scales each picture to a megapixel
            references += MEGAPIXEL * sum(name.startswith("image") for name in sources)
        combined += max(len(sources) - 1, 0) if _COMBINES.search(class_type) else 0
        has_ranges = has_ranges or class_type == "ConditioningSetTimestepRange"
    passes, share, model_controls = _model_guidance(graph, node_id, is_distilled=is_distilled)
    passes += 0 if has_ranges else combined  # conditionings of different steps take turns
    return Guidance(passes, controls + model_controls, references, share)


def _model_guidance(graph: PromptGraph, node_id: str, *, is_distilled: bool) -> tuple[float, float, float]:
    """Return the passes, the share of time and the ControlNets that the model of a sampler and its guider bring."""
    extra, share, controls, passes = 0.0, 1.0, 0.0, None
    for current in graph.upstream(node_id, _is_model):
        class_type = graph.prompt[current]["class_type"]
        extra += _EXTRA_PASS.search(class_type) is not None
        controls += "model_patch" in graph.sources[current]
        if _SKIPS_STEPS.search(class_type):
            share *= SKIPPED
        elif _COMPILES.search(class_type):
            share *= COMPILED
        if passes is None:
            passes = _own_passes(graph, current)
    if passes is None:
        passes = 1.0 if is_distilled else 2.0
    return passes + extra, share, controls


def _own_passes(graph: PromptGraph, node_id: str) -> float | None:
    """Return the passes that the inputs of a sampler or guider ask for, or None if they do not show it.

    ComfyUI evaluates the negative prompt only if the guidance is not 1.
    """
    node, sources = graph.prompt[node_id], graph.sources[node_id]
    if "cond2" in sources or "cfg_conds" in node["inputs"] or "empty_conditioning" in sources:
        return 3.0
    cfg = number(graph.prompt, node, "cfg")
    if cfg is not None:
        return 1.0 if cfg == 1.0 else 2.0
    if "conditioning" in sources and "negative" not in sources:
        return 1.0
    return None


def _active_control(graph: PromptGraph, node_id: str) -> float:
    """Return the part of the steps in which a node applies a ControlNet, 0 for another node."""
    if not any(name in graph.sources[node_id] for name in _CONTROL_INPUTS):
        return 0.0
    node = graph.prompt[node_id]
    start = number(graph.prompt, node, "start_percent", "start_at")
    end = number(graph.prompt, node, "end_percent", "end_at")
    if number(graph.prompt, node, "strength", "weight") == 0:
        return 0.0
    return min(max((1.0 if end is None else end) - (start or 0.0), 0.0), 1.0)


@lru_cache(maxsize=2048)
def _is_conditioning(input_name: str) -> bool:
    """Return whether an input of this name receives what the model shall follow."""
    return _CONDITIONING.search(input_name) is not None


@lru_cache(maxsize=2048)
def _is_model(input_name: str) -> bool:
    """Return whether an input of this name receives a diffusion model or its guider."""
    return _MODEL.search(input_name) is not None
