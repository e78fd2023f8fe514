"""A prompt made whole, so that what ComfyUI never comes to look at can be checked too.

ComfyUI stops at the first class it does not have, and at a link to nowhere it leaves the rest of that node and what
stands behind it unread. Here what is missing is put in its place as a node that fits everywhere, and those parts are
targets of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.linking import output_type
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Node, Prompt, links

STAND_IN = "\0stand-in"  # no class and no node of a client's is called so
_MOST_SLOTS = 1000


@dataclass(frozen=True, slots=True)
class CompletedPrompt:
    """`targets` are the nodes to start from besides the outputs; empty where nothing had to be mended."""

    prompt: Prompt
    catalog: Catalog
    targets: tuple[str, ...]


def complete(prompt: Prompt, catalog: Catalog, mismatched: tuple[str, ...] = ()) -> CompletedPrompt:
    """Stand-ins for unknown classes, lost nodes and lost slots. `mismatched` are sources of links that don't fit."""
    unknown = {node["class_type"] for node in prompt.values()} - set(catalog)
    slots = max((slot + 1 for node in prompt.values() for _, _, slot in links(node)), default=1)
    whole = {node_id: _linked(node, prompt, catalog) for node_id, node in prompt.items()}
    if not unknown and all(whole[node_id] is node for node_id, node in prompt.items()):
        return CompletedPrompt(prompt, catalog, mismatched)
    stand_in: JsonObject = {"input": {}, "output": ["*"] * min(max(slots, 1), _MOST_SLOTS)}
    changed: dict[str, JsonObject | None] = dict.fromkeys((*unknown, STAND_IN), stand_in)
    whole[STAND_IN] = {"class_type": STAND_IN, "inputs": {}}
    targets = dict.fromkeys(mismatched)
    for node in prompt.values():
        if node["class_type"] in unknown:
            targets.update(dict.fromkeys(source for _, source, _ in links(node) if source in prompt))
    return CompletedPrompt(whole, catalog.with_classes(changed), tuple(targets))


def _linked(node: Node, prompt: Prompt, catalog: Catalog) -> Node:
    """The node itself where all its links lead somewhere, else a copy in which the lost ones lead to the stand-in."""
    lost = dict(_lost(node, prompt, catalog))
    return {**node, "inputs": {**node["inputs"], **lost}} if lost else node


def _lost(node: Node, prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, Json]]:
    for name, value in node["inputs"].items():
        match value:
            case [source, slot]:
                if not (isinstance(source, str) and source in prompt and isinstance(slot, int)):
                    yield name, [STAND_IN, 0]
                elif (class_type := prompt[source]["class_type"]) in catalog:
                    try:
                        output_type(catalog[class_type], slot)
                    except IndexError:
                        yield name, [STAND_IN, 0]
