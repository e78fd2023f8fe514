"""How much work a prompt is, in units of which the benchmark workflow has 100."""

from __future__ import annotations

from worker.graph.catalog import Catalog
from worker.graph.content_size import UPLOADED_IMAGE, ContentSizes
from worker.graph.prompt import Prompt, ancestors, links
from worker.graph.step_count import StepCounts

BENCHMARK = 100.0
BENCHMARK_STEPS = 20
BENCHMARK_PIXELS = 512 * 512
FLOOR = 1.0
CEILING = 1e7  # a hundred thousand benchmarks: whoever asks for more asks for nonsense, and infinity is no JSON


def workload(prompt: Prompt, catalog: Catalog | None = None) -> float:
    """Estimate the work of a prompt; the benchmark is 20 steps at 512x512, one image, and is 100.

    Each sampler counts its steps times the pixels, frames and batch that it is given; several add up. Any node that
    has steps of its own, or sigmas from a node that has, is a sampler, whatever its class. With a catalog, nodes that
    no output needs and nodes that work on another company's machines count nothing. Where nothing tells the size it
    is taken to be 1024x1024, an uploaded image's too. Grows with steps and, from 1 up, with each size. Never raises.
    """
    sizes, steps = ContentSizes(prompt), StepCounts(prompt)
    work = 0.0
    for node_id in _samplers(prompt, catalog):
        taken = steps.taken_by(prompt[node_id])
        if taken:
            work += taken * (sizes.at(node_id) or UPLOADED_IMAGE).pixels
    return min(max(BENCHMARK * work / (BENCHMARK_STEPS * BENCHMARK_PIXELS), FLOOR), CEILING)


def _samplers(prompt: Prompt, catalog: Catalog | None) -> list[str]:
    """The nodes that run here, have something linked in, and don't make sigmas for another."""
    schedulers = {source for node in prompt.values() for name, source, _ in links(node) if "sigmas" in name}
    running = set(prompt) if catalog is None else _running(prompt, catalog)
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
    needed = outputs.union(*(ancestors(prompt, output) for output in outputs))
    return (needed or set(prompt)) - remote
