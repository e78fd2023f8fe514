"""Comparison of two prompts as graphs, without their node ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from worker.workflow.catalog.catalog import Catalog

ROUNDS = 12
"""Number of links around a node that its hash covers."""

Nodes = dict[str, tuple[str, dict[str, Any]]]


def nodes_of(prompt: Mapping[str, Any], catalog: Catalog) -> Nodes:
    """Return class and inputs of each node, without inputs that the catalog does not have and the server ignores."""
    return {
        node_id: (
            node["class_type"],
            {name: value for name, value in node["inputs"].items() if _known(node["class_type"], name, catalog)},
        )
        for node_id, node in prompt.items()
    }


def are_isomorphic(one: Nodes, other: Nodes) -> bool:
    """Return whether two graphs differ only in their node ids."""
    return one == other or _colours(one) == _colours(other)


def _known(class_type: str, name: str, catalog: Catalog) -> bool:
    return class_type in catalog and name.split(".", maxsplit=1)[0] in catalog[class_type].by_name


def _colours(nodes: Nodes) -> Counter[int]:
    """Return a hash for each node that depends on the graph around it, with the counts of equal hashes."""
    colours = {node_id: hash(class_type) for node_id, (class_type, _) in nodes.items()}
    for _ in range(ROUNDS):
        colours = {node_id: _colour(*node, colours) for node_id, node in nodes.items()}
    return Counter(colours.values())


def _colour(class_type: str, inputs: dict[str, Any], colours: Mapping[str, int]) -> int:
    error_types = []
    for name, value in sorted(inputs.items()):
        match value:
            case [str(source), int(slot)]:
                error_types.append((name, "link", colours.get(source, 0), slot))
            case _:
                error_types.append((name, "value", hash(json.dumps(value, sort_keys=True)), 0))
    return hash((class_type, tuple(error_types)))
