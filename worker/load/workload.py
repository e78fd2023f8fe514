"""How much work a prompt is, in units of which the benchmark workflow has 100."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from worker.load.content_size import UPLOADED_IMAGE, ContentSizes
from worker.load.families import Families
from worker.load.step_count import STEPS, StepCounts
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Node, Prompt, ancestors, links

BENCHMARK = 100.0
BENCHMARK_STEPS = 20
BENCHMARK_PIXELS = 512 * 512
FLOOR = 1.0
CEILING = 1e7  # a hundred thousand benchmarks: whoever asks for more asks for nonsense, and infinity is no JSON
UPSCALE_STEPS = 6.0
"""What an upscale model does to a pixel that it is given, in steps of the benchmark's model."""
UNSAID_STEPS = float(BENCHMARK_STEPS)
"""Of what samples, by its inputs, but doesn't say how many."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One time that a model goes over pixels: a sampler's run, or an upscale. `family` names the model's."""

    node_id: str
    steps: float
    pixels: float
    family: str
    cost: float

    @property
    def units(self) -> float:
        return BENCHMARK * self.steps * self.pixels * self.cost / (BENCHMARK_STEPS * BENCHMARK_PIXELS)


def workload(prompt: Prompt, catalog: Catalog | None = None) -> float:
    """Estimate the work of a prompt; the benchmark is 20 steps at 512x512, one image, and is 100.

    The sum of its passes, each steps x pixels (of all frames, of the batch) x the cost of its model's family. Grows
    with steps, from 1 up with each size, with every pass and with the size of the model. Never raises.
    """
    units = sum(one.units for one in passes(prompt, catalog))
    return min(max(units, FLOOR), CEILING)


def passes(prompt: Prompt, catalog: Catalog | None = None) -> list[Pass]:
    """What models do in a prompt, in its order.

    Any node that has steps of its own, or sigmas from a node that has, is a sampler, whatever its class; so is one
    that takes a model and a latent and says nothing of steps. With a catalog, nodes that no output needs and nodes
    that work on another company's machines count nothing. Where nothing tells the size it is taken to be 1024x1024,
    an uploaded image's too; an unknown model is taken for the benchmark's.
    """
    running = set(prompt) if catalog is None else _running(prompt, catalog)
    candidates = [node_id for node_id in _samplers(prompt, running) if _may_sample(prompt[node_id])]
    upscales = list(_upscales(prompt, running))
    if not candidates and not upscales:
        return []
    sizes, steps, families = ContentSizes(prompt), StepCounts(prompt), Families(prompt)
    found = []
    for node_id in candidates:
        taken = _steps(prompt[node_id], steps)
        if not taken:
            continue
        family = families.of(node_id)
        pixels = (sizes.at(node_id) or UPLOADED_IMAGE).pixels
        found.append(Pass(node_id, taken, pixels, family.name, family.cost))
    for node_id, source in upscales:
        found.append(Pass(node_id, UPSCALE_STEPS, (sizes.at(source) or UPLOADED_IMAGE).pixels, "upscale", 1.0))
    return found


def _upscales(prompt: Prompt, running: Container[str]) -> Iterator[tuple[str, str]]:
    """(node id, the node its pictures come from) of what works with an upscale model."""
    for node_id, node in prompt.items():
        linked = {name: source for name, source, _ in links(node)}
        if node_id in running and "upscale_model" in linked and "image" in linked:
            yield node_id, linked["image"]


def _may_sample(node: Node) -> bool:
    return "sigmas" in node["inputs"] or not STEPS.isdisjoint(node["inputs"]) or _looks_like_a_sampler(node)


def _steps(node: Node, counts: StepCounts) -> float:
    """The steps of a node, 0 of one that is no sampler."""
    taken = counts.steps_of(node)
    if taken is None:
        return UNSAID_STEPS if _looks_like_a_sampler(node) else 0.0
    return taken


def _looks_like_a_sampler(node: Node) -> bool:
    linked = {name for name, _, _ in links(node)}
    return bool(linked & {"model", "guider"}) and bool(linked & {"latent_image", "latent", "samples"})


def _samplers(prompt: Prompt, running: Container[str]) -> list[str]:
    """The nodes that run here, have something linked in, and don't make sigmas for another."""
    schedulers = {source for node in prompt.values() for name, source, _ in links(node) if "sigmas" in name}
    return [
        node_id
        for node_id, node in prompt.items()
        if node_id in running
        and node_id not in schedulers
        and any(True for _ in links(node))
        and not node["class_type"].endswith("Scheduler")  # one that nobody uses
    ]


def _running(prompt: Prompt, catalog: Catalog) -> set[str]:
    known = {node_id: catalog[node["class_type"]] for node_id, node in prompt.items() if node["class_type"] in catalog}
    remote = {node_id for node_id, node_class in known.items() if node_class.api_node}
    outputs = {node_id for node_id, node_class in known.items() if node_class.output_node}
    needed = outputs | ancestors(prompt, *outputs)  # together: one after the other takes the square of the time
    return (needed or set(prompt)) - remote
