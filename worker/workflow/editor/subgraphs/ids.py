"""Unique node ids across the workflow and all its subgraphs, assigned as the editor does when it loads a file."""

from __future__ import annotations

from worker.workflow.editor.saved_workflow import SavedGraph, SavedNode, SavedWorkflow
from worker.workflow.json_value import Json

_MAX_ID = 100_000_000


def make_ids_unique(saved: SavedWorkflow) -> None:
    """Change the ids of nodes inside subgraphs that the workflow or an earlier subgraph also uses, in place.

    Links and `proxyWidgets` get the new ids.
    """
    if not saved.subgraphs:
        return
    used = {node.id for node in saved.root.nodes}
    last = saved.last_node_id
    renamed: dict[str, dict[str, str]] = {}
    for graph in saved.subgraphs:
        new_ids = renamed[graph.id] = {}
        for node in graph.nodes:
            if node.id in used:
                last = _next_unused(last, used)
                new_ids[node.id] = node.id = str(last)
            used.add(node.id)
            last = max(last, _number(node.id) or 0)
        _renumber_links(graph, new_ids)
    for node in (node for graph in (saved.root, *saved.subgraphs) for node in graph.nodes):
        _renumber_proxies(node, renamed.get(node.type, {}))
    saved.last_node_id = last


def _next_unused(last: int, used: set[str]) -> int:
    """Return the next number after `last` that no node uses."""
    last += 1
    while str(last) in used:
        last += 1
    return last


def highest_node_id(saved: SavedWorkflow) -> int:
    """Return the highest numeric id of all nodes in the file, or 0."""
    numbers = (_number(node.id) for graph in (saved.root, *saved.subgraphs) for node in graph.nodes)
    return max((number for number in numbers if number is not None), default=0)


def _number(node_id: str) -> int | None:
    """Return a node id as a number. Return None for other texts and for numbers that no editor assigns."""
    if not (node_id.isascii() and node_id.isdecimal() and len(node_id) < 10):
        return None
    number = int(node_id)
    return number if number < _MAX_ID else None


def _renumber_links(graph: SavedGraph, new_ids: dict[str, str]) -> None:
    """Replace the old ids of nodes by the new ones in the links of a subgraph."""
    for link in graph.links:
        link.origin = new_ids.get(link.origin, link.origin)
        link.target = new_ids.get(link.target, link.target)


def _renumber_proxies(node: SavedNode, new_ids: dict[str, str]) -> None:
    """Replace the old ids of inner nodes by the new ones in the property `proxyWidgets` of a subgraph instance.

    Each entry of this list starts with the id of an inner node. Other entries stay as they are.
    """
    proxies = node.properties.get("proxyWidgets")
    if not new_ids or not isinstance(proxies, list):
        return
    rewritten: list[Json] = []
    for entry in proxies:
        match entry:
            case [str(inner), *rest]:
                rewritten.append([new_ids.get(inner, inner), *rest])
            case _:
                rewritten.append(entry)
    node.properties = {**node.properties, "proxyWidgets": rewritten}
