"""Whether two prompts are the same graph, whatever their nodes are called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from worker.workflow.catalog.catalog import Catalog

ROUNDS = 12
"""How far around a node is looked before two are taken for the same."""

Nodes = dict[str, tuple[str, dict[str, Any]]]


def nodes_of(prompt: Mapping[str, Any], catalog: Catalog) -> Nodes:
    """Class and inputs by id, without what the catalog doesn't know: the server ignores it."""
    return {
        node_id: (
            node["class_type"],
            {name: value for name, value in node["inputs"].items() if _known(node["class_type"], name, catalog)},
        )
        for node_id, node in prompt.items()
    }


def alike(one: Nodes, other: Nodes) -> bool:
    """True for graphs that differ in ids alone."""
    return one == other or _colours(one) == _colours(other)


def _known(class_type: str, name: str, catalog: Catalog) -> bool:
    return class_type in catalog and name.split(".", maxsplit=1)[0] in catalog[class_type].by_name


def _colours(nodes: Nodes) -> Counter[int]:
    colours = {node_id: hash(class_type) for node_id, (class_type, _) in nodes.items()}
    for _ in range(ROUNDS):
        colours = {node_id: _colour(*node, colours) for node_id, node in nodes.items()}
    return Counter(colours.values())


def _colour(class_type: str, inputs: dict[str, Any], colours: Mapping[str, int]) -> int:
    told = []
    for name, value in sorted(inputs.items()):
        match value:
            case [str(source), int(slot)]:
                told.append((name, "link", colours.get(source, 0), slot))
            case _:
                told.append((name, "value", hash(json.dumps(value, sort_keys=True)), 0))
    return hash((class_type, tuple(told)))
