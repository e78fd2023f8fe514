"""Completes a prompt, so that the parts that ComfyUI does not reach can be checked too.

ComfyUI stops at the first missing class. At a broken link it skips the rest of the node and everything that the node
depends on. Here everything that is missing is replaced by a stand-in that fits everywhere, and the skipped parts become
additional targets of the check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.linking import output_type
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Node, Prompt, links

STAND_IN = "\0stand-in"  # no class and no node of a client has this name
_MOST_SLOTS = 1000


@dataclass(frozen=True, slots=True)
class CompletedPrompt:
    """A completed prompt and its catalog. `targets` are the nodes to check in addition to the outputs."""

    prompt: Prompt
    catalog: Catalog
    targets: tuple[str, ...]


def complete(prompt: Prompt, catalog: Catalog, mismatched: tuple[str, ...] = ()) -> CompletedPrompt:
    """Return the prompt with stand-ins for unknown classes, missing nodes and missing slots, and the nodes to check.

    `mismatched` are the sources of links whose types do not match. ComfyUI does not check them, so that they become
    targets. If nothing is missing, `prompt` of the result is the same object as the argument.
    """
    unknown = {node["class_type"] for node in prompt.values()} - set(catalog)
    # The stand-in has enough output slots for every link.
    slots = max((slot + 1 for node in prompt.values() for _, _, slot in links(node)), default=1)
    completed = {node_id: _with_valid_links(node, prompt, catalog) for node_id, node in prompt.items()}
    if not unknown and all(completed[node_id] is node for node_id, node in prompt.items()):
        return CompletedPrompt(prompt, catalog, mismatched)
    stand_in: JsonObject = {"input": {}, "output": ["*"] * min(max(slots, 1), _MOST_SLOTS)}
    changed: dict[str, JsonObject | None] = dict.fromkeys((*unknown, STAND_IN), stand_in)
    completed[STAND_IN] = {"class_type": STAND_IN, "inputs": {}}
    targets = dict.fromkeys(mismatched)
    for node in prompt.values():
        if node["class_type"] in unknown:
            targets.update(dict.fromkeys(source for _, source, _ in links(node) if source in prompt))
    return CompletedPrompt(completed, catalog.with_classes(changed), tuple(targets))


def _with_valid_links(node: Node, prompt: Prompt, catalog: Catalog) -> Node:
    """Return the node itself if all its links are valid, else a copy whose broken links lead to the stand-in."""
    replaced = dict(_replaced_links(node, prompt, catalog))
    return {**node, "inputs": {**node["inputs"], **replaced}} if replaced else node


def _replaced_links(node: Node, prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, Json]]:
    """Yield (input, link to the stand-in) for each link of a node that leads to a missing node or slot."""
    for name, value in node["inputs"].items():
        match value:
            case [source, slot]:
                if not (isinstance(source, str) and source in prompt and isinstance(slot, int)):
                    yield name, [STAND_IN, 0]
                    continue
                source_class = catalog.get(prompt[source]["class_type"])
                if source_class is not None and not _has_slot(source_class, slot):
                    yield name, [STAND_IN, 0]


def _has_slot(node_class: NodeClass, slot: int) -> bool:
    """Return whether a class has this output slot."""
    try:
        output_type(node_class, slot)
    except IndexError:
        return False
    return True
