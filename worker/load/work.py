"""Computes the work of a prompt: the nodes that will run, and what each of them costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from worker.load.features.ancestry import ancestry
from worker.load.features.content_size import ContentSizes, Size
from worker.load.features.declared_inputs import with_declared_inputs
from worker.load.features.other_nodes import OtherNodes
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.samplers import Samplers
from worker.load.features.used_files import UsedFiles
from worker.load.gpu_classes import REFERENCE
from worker.load.node_work import JobWork, NodeKind, NodeWork
from worker.load.prior import prior_seconds
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

FLOOR, CEILING = 0.01, 1e6
"""Smallest and largest number of units. JSON has no infinity."""
API_S = 15.0
"""Assumed seconds of a node that runs on another machine."""


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
    declared = with_declared_inputs(prompt, catalog)
    graph = PromptGraph(declared)
    known_bytes = {file: size for file, size in (model_bytes or {}).items() if size}
    # An input that ComfyUI does not know still tells the results of two nodes apart in its cache.
    hashes = ancestry(graph if declared is prompt else PromptGraph(prompt))
    nodes = _nodes(graph, catalog, sizes, known_bytes, hashes)
    return JobWork(tuple(nodes), _units(nodes), hashes, known_bytes)


def units(prompt: Prompt, catalog: Catalog | None = None, sizes: Mapping[str, Size] | None = None) -> float:
    """Return the units of `job_work`, without its other parts."""
    graph = PromptGraph(with_declared_inputs(prompt, catalog))
    return _units(_nodes(graph, catalog, sizes, {}, ancestry(graph)))


def _units(nodes: list[NodeWork]) -> float:
    """Return the units of nodes, which are seconds on the reference GPU. Nodes that run elsewhere do not count."""
    seconds = sum(prior_seconds(node, REFERENCE) for node in nodes if node.kind is not NodeKind.API)
    return min(max(seconds, FLOOR), CEILING)


def _nodes(
    graph: PromptGraph,
    catalog: Catalog | None,
    sizes: Mapping[str, Size] | None,
    model_bytes: Mapping[str, int],
    hashes: Mapping[str, bytes],
) -> list[NodeWork]:
    """Return the work of each node that will run.

    It is computed once for equal nodes, which have the same of the `hashes`: there may be thousands.
    """
    files, content = UsedFiles(graph), ContentSizes(graph, sizes)
    samplers, others = Samplers(graph, files, content, model_bytes), OtherNodes(graph, files, content, model_bytes)
    nodes, known = [], dict[tuple[bytes, float | None], NodeWork]()
    for node_id in graph.running(catalog):
        class_type = graph.prompt[node_id]["class_type"]
        if catalog is not None and class_type in catalog and catalog[class_type].api_node:
            nodes.append(NodeWork(node_id, class_type, NodeKind.API, fixed_s=API_S))
            continue
        steps = samplers.steps_of(node_id)
        key = hashes[node_id], steps
        if key in known:
            nodes.append(replace(known[key], node_id=node_id))
            continue
        if steps is None:
            work = others.work(node_id)
        else:
            work = samplers.work(node_id, steps, others.coding_tflop(node_id, samplers.size_of(node_id)))
        known[key] = work
        nodes.append(work)
    return nodes
