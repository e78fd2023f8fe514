"""Ids made unique over the workflow and all its subgraphs, as the editor does on loading."""

from __future__ import annotations

from worker.workflow.editor.saved import SavedGraph, SavedNode, SavedWorkflow
from worker.workflow.json_value import Json

_HIGHEST = 100_000_000


def number_apart(saved: SavedWorkflow) -> None:
    """Give nodes inside subgraphs another id where theirs is taken: by the workflow, or by a subgraph before."""
    if not saved.subgraphs:
        return
    used = {node.id for node in saved.root.nodes}
    last = saved.last_node_id
    renamed: dict[str, dict[str, str]] = {}
    for graph in saved.subgraphs:
        moved = renamed[graph.id] = {}
        for node in graph.nodes:
            if node.id in used:
                last = _next(last, used)
                moved[node.id] = node.id = str(last)
            used.add(node.id)
            last = max(last, _number(node.id) or 0)
        _move_links(graph, moved)
    for node in (node for graph in (saved.root, *saved.subgraphs) for node in graph.nodes):
        _move_proxies(node, renamed.get(node.type, {}))
    saved.last_node_id = last


def _next(last: int, used: set[str]) -> int:
    last += 1
    while str(last) in used:
        last += 1
    return last


def highest(saved: SavedWorkflow) -> int:
    """The highest number that any node of the file has, or ever had."""
    numbers = (_number(node.id) for graph in (saved.root, *saved.subgraphs) for node in graph.nodes)
    return max((number for number in numbers if number is not None), default=0)


def _number(node_id: str) -> int | None:
    number = int(node_id) if node_id.isascii() and node_id.isdecimal() and len(node_id) < 10 else None
    return number if number is not None and number < _HIGHEST else None


def _move_links(graph: SavedGraph, moved: dict[str, str]) -> None:
    for link in graph.links:
        link.origin = moved.get(link.origin, link.origin)
        link.target = moved.get(link.target, link.target)


def _move_proxies(node: SavedNode, moved: dict[str, str]) -> None:
    proxies = node.properties.get("proxyWidgets")
    if not moved or not isinstance(proxies, list):
        return
    rewritten: list[Json] = []
    for entry in proxies:
        match entry:
            case [str(inner), *rest]:
                rewritten.append([moved.get(inner, inner), *rest])
            case _:
                rewritten.append(entry)
    node.properties = {**node.properties, "proxyWidgets": rewritten}
