"""Counts the passes of the model in one evaluation, and what the conditioning of a sampler adds to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes
from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.numbers import number

REFERENCE_MEGAPIXEL = 1024.0 * 1024.0
"""Pixels of a picture after the nodes that scale references to one megapixel."""

_CONDITIONING = re.compile(r"positive|conditioning|^cond|guider")
_MODEL = re.compile(r"model|guider")
_EXTRA_PASS = re.compile(r"PerturbedAttention|SelfAttentionGuidance|SkipLayerGuidance")


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a sampler evaluates in each step, next to the content itself."""

    passes: float
    """Passes of the model for each item: 2 for classifier-free guidance."""
    controls: int = 0
    """Number of ControlNets."""
    reference_pixels: float = 0.0
    """Pixels of all reference pictures."""


def guidance_of(graph: PromptGraph, sizes: ContentSizes, node_id: str, *, is_distilled: bool) -> Guidance:
    """Return the guidance of a sampler. `is_distilled` models make one pass if the prompt does not set a guidance."""
    nodes = graph.upstream(node_id, lambda name: _CONDITIONING.search(name) is not None)
    controls, references = 0, 0.0
    for current in nodes[1:]:
        class_type = graph.prompt[current]["class_type"]
        names = {name: source for name, source, _ in graph.sources[current]}
        controls += "control_net" in names or "controlnet" in names
        if "ReferenceLatent" in class_type and "latent" in names:
            references += (sizes.size_at(names["latent"]) or UPLOADED_IMAGE).pixels
        elif "vae" in names and "TextEncode" in class_type:
            references += REFERENCE_MEGAPIXEL * sum(name.startswith("image") for name in names)
    return Guidance(_passes(graph, node_id, is_distilled=is_distilled), controls, references)


def _passes(graph: PromptGraph, node_id: str, *, is_distilled: bool) -> float:
    """Return the passes of the model for each evaluation of a sampler."""
    extra = 0.0
    passes = None
    for current in graph.upstream(node_id, lambda name: _MODEL.search(name) is not None):
        node = graph.prompt[current]
        extra += _EXTRA_PASS.search(node["class_type"]) is not None
        if passes is None:
            passes = _own_passes(graph, current)
    if passes is None:
        passes = 1.0 if is_distilled else 2.0
    return passes + extra


def _own_passes(graph: PromptGraph, node_id: str) -> float | None:
    """Return the passes that the inputs of a sampler or guider ask for, or None if they do not show it."""
    node = graph.prompt[node_id]
    names = {name for name, _, _ in graph.sources[node_id]}
    if "cond2" in names or "cfg_conds" in node["inputs"]:
        return 3.0
    cfg = number(graph.prompt, node, "cfg")
    if cfg is not None and ("negative" in names or "positive" in names or "model" in names):
        return 1.0 if cfg == 1.0 else 2.0
    if "negative" in names:
        return None
    return 1.0 if "conditioning" in names else None
