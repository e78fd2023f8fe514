"""Estimates the workload of a prompt. The benchmark workflow has a workload of 100."""

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
CEILING = 1e7  # 100,000 benchmarks: a larger value makes no sense, and JSON has no infinity
UPSCALE_STEPS = 6.0
"""Cost of an upscale model for each input pixel, in steps of the benchmark model."""
DEFAULT_STEPS = float(BENCHMARK_STEPS)
"""Steps of a sampler whose number of steps is not known."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a model over pixels: a run of a sampler, or an upscale. `family` is the name of the model family."""

    node_id: str
    steps: float
    pixels: float
    family: str
    cost: float

    @property
    def units(self) -> float:
        """Workload of the pass."""
        return BENCHMARK * self.steps * self.pixels * self.cost / (BENCHMARK_STEPS * BENCHMARK_PIXELS)


def workload(prompt: Prompt, catalog: Catalog | None = None) -> float:
    """Return the estimated workload of a prompt. The benchmark (20 steps, one image of 512x512) has 100.

    The workload is the sum of all passes: steps x pixels (of all frames and of the batch) x cost of the model family.
    It is at least 1 and at most 10 million. Without a catalog, nodes that do not run count too. Never raises.
    """
    units = sum(model_pass.units for model_pass in passes(prompt, catalog))
    return min(max(units, FLOOR), CEILING)


def passes(prompt: Prompt, catalog: Catalog | None = None) -> list[Pass]:
    """Return the passes of models in a prompt: the runs of samplers first, then the upscales.

    A node of any class is a sampler if it has steps, or sigmas from a node that has steps. A node with a model and a
    latent is a sampler too. With a catalog, nodes that no output needs and API nodes, which run on other machines, do
    not count. An unknown size counts as 1024x1024, and an unknown model as the benchmark model.
    """
    running = set(prompt) if catalog is None else _running(prompt, catalog)
    candidates = [node_id for node_id in _possible_samplers(prompt, running) if _may_sample(prompt[node_id])]
    upscales = list(_upscales(prompt, running))
    if not candidates and not upscales:
        return []
    sizes, step_counts, families = ContentSizes(prompt), StepCounts(prompt), Families(prompt)
    model_passes = []
    for node_id in candidates:
        step_count = _steps(prompt[node_id], step_counts)
        if not step_count:
            continue
        family = families.family_of(node_id)
        pixels = (sizes.size_at(node_id) or UPLOADED_IMAGE).pixels
        model_passes.append(Pass(node_id, step_count, pixels, family.name, family.cost))
    for node_id, source in upscales:
        pixels = (sizes.size_at(source) or UPLOADED_IMAGE).pixels
        model_passes.append(Pass(node_id, UPSCALE_STEPS, pixels, family="upscale", cost=1.0))
    return model_passes


def _upscales(prompt: Prompt, running: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield (node id, source of its images) for each node that uses an upscale model."""
    for node_id, node in prompt.items():
        linked = {name: source for name, source, _ in links(node)}
        if node_id in running and "upscale_model" in linked and "image" in linked:
            yield node_id, linked["image"]


def _may_sample(node: Node) -> bool:
    """Return whether a node may be a sampler. Cheap, to skip the estimate for prompts without any sampler."""
    return "sigmas" in node["inputs"] or not STEPS.isdisjoint(node["inputs"]) or _looks_like_a_sampler(node)


def _steps(node: Node, counts: StepCounts) -> float:
    """Return the steps of a node, `DEFAULT_STEPS` for a sampler with unknown steps, or 0 if it is no sampler."""
    step_count = counts.steps_of(node)
    if step_count is None:
        return DEFAULT_STEPS if _looks_like_a_sampler(node) else 0.0
    return step_count


def _looks_like_a_sampler(node: Node) -> bool:
    """Return whether a node receives both a model and a latent."""
    linked = {name for name, _, _ in links(node)}
    return bool(linked & {"model", "guider"}) and bool(linked & {"latent_image", "latent", "samples"})


def _possible_samplers(prompt: Prompt, running: Container[str]) -> list[str]:
    """Return the nodes that may be samplers: running nodes with a linked input that do not create sigmas."""
    schedulers = {source for node in prompt.values() for name, source, _ in links(node) if "sigmas" in name}
    return [
        node_id
        for node_id, node in prompt.items()
        if node_id in running
        and node_id not in schedulers
        and next(links(node), None) is not None
        and not node["class_type"].endswith("Scheduler")  # a scheduler that no node uses
    ]


def _running(prompt: Prompt, catalog: Catalog) -> set[str]:
    """Return the output nodes and all nodes that they need, without API nodes, which run on other machines.

    If the prompt has no output node, all nodes count as needed.
    """
    class_types = {node_id: node["class_type"] for node_id, node in prompt.items()}
    classes = {node_id: catalog[name] for node_id, name in class_types.items() if name in catalog}
    remote = {node_id for node_id, node_class in classes.items() if node_class.api_node}
    outputs = {node_id for node_id, node_class in classes.items() if node_class.output_node}
    # One call for all outputs, because one call for each takes quadratic time.
    needed = outputs | ancestors(prompt, *outputs)
    return (needed or set(prompt)) - remote
