"""Nodes that only the editor has, and that some clients send all the same: left out where nothing needs them.

A note is linked to nothing. A reroute hands on its one input, so that what is linked to it is linked to that, and the
value of a primitive stands in the inputs that it feeds.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from worker.prompt_changes import Repair
from worker.workflow.editor.editor_graph import PRIMITIVE
from worker.workflow.editor.packs.registry import BROWSER_NODES
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, is_link, links, title


def without_editor_nodes(prompt: Prompt, catalog: Container[str]) -> tuple[Prompt, list[Repair]]:
    """Return the prompt without them, and what is left out. A prompt of nothing else stays as it is."""
    found = [node_id for node_id, node in prompt.items() if node["class_type"] in BROWSER_NODES]
    found = [node_id for node_id in found if prompt[node_id]["class_type"] not in catalog]
    if not found or len(found) == len(prompt):
        return prompt, []
    straight = _past_reroutes(prompt, found)
    gone = frozenset(found)
    kept = {node_id: node for node_id, node in straight.items() if node_id not in gone}
    kept = _with_linked(kept, straight)
    repairs = [_left_out(prompt, node_id) for node_id in found if node_id not in kept]
    return (
        ({node_id: node for node_id, node in straight.items() if node_id in kept}, repairs) if repairs else (prompt, [])
    )


def _with_linked(kept: Prompt, prompt: Prompt) -> Prompt:
    """Add what is still linked to: that is for the check to refuse."""
    kept, waiting = dict(kept), list(kept)
    while waiting:
        for _, source, _ in links(kept[waiting.pop()]):
            if source in prompt and source not in kept:
                kept[source] = prompt[source]
                waiting.append(source)
    return kept


def _past_reroutes(prompt: Prompt, found: list[str]) -> Prompt:
    handed_on = {node_id: _handed_on(prompt[node_id]) for node_id in found}
    ends = _ends({node_id: value for node_id, value in handed_on.items() if value is not None})
    if not ends:
        return prompt
    return {node_id: _relinked(node, ends) for node_id, node in prompt.items()}


def _handed_on(node: Node) -> Json:
    """The link of a node that passes its only input on, or the only value of a primitive."""
    values, browser = list(node["inputs"].values()), BROWSER_NODES[node["class_type"]]
    if len(values) != 1 or browser.gets_from or browser.refused:
        return None
    if node["class_type"] == PRIMITIVE:
        return values[0] if isinstance(values[0], str | int | float) else None
    return values[0] if is_link(values[0]) else None


def _relinked(node: Node, ends: Mapping[str, Json]) -> Node:
    if not any(source in ends for _, source, _ in links(node)):
        return node
    return {**node, "inputs": {name: _end(value, ends) for name, value in node["inputs"].items()}}


def _end(value: Json, ends: Mapping[str, Json]) -> Json:
    """Return what a link leads to behind all reroutes; anything else as it is."""
    return ends.get(str(value[0]), value) if isinstance(value, list) and is_link(value) else value


def _ends(passed: Mapping[str, Json]) -> dict[str, Json]:
    """Return what each node hands on in the end; those whose links go in a circle are left out."""
    ends: dict[str, Json] = {}
    for node_id in passed:
        way: dict[str, None] = {}
        end: Json = [node_id, 0]
        while isinstance(end, list) and is_link(end) and (source := str(end[0])) in passed:
            if source in ends or source in way:
                end = ends.get(source)  # None in a circle
                break
            way[source] = None
            end = passed[source]
        ends |= dict.fromkeys(way, end)
    return {node_id: end for node_id, end in ends.items() if end is not None}


def _left_out(prompt: Prompt, node_id: str) -> Repair:
    class_type = prompt[node_id]["class_type"]
    message = f"{class_type!r} is a node of the editor's own, which ComfyUI does not have: it is left out."
    if _handed_on(prompt[node_id]) is not None:
        message = f"{message[:-1]}, and what it hands on stands where it was linked."
    return Repair(message, "editor_node", node_id, title(prompt, node_id), None, class_type, None)
