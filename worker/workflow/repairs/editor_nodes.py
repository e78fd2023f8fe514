"""Removes nodes that exist only in the editor, because some clients send them in API format.

Notes have no links. Links from a reroute are replaced by links from its source. Links from a primitive are replaced by
its value.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from worker.prompt_changes import Repair
from worker.workflow.editor.editor_graph import PRIMITIVE
from worker.workflow.editor.packs.registry import BROWSER_NODES
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, is_link, links, title


def without_editor_nodes(prompt: Prompt, catalog: Container[str]) -> tuple[Prompt, list[Repair]]:
    """Return (prompt without editor nodes, repairs), with one repair for each removed node.

    An editor node to which a remaining link leads is not removed. A prompt that only has editor nodes, or that has
    none, is returned unchanged.
    """
    # A server may have a class of its own with the name of an editor node.
    browser_nodes = [node_id for node_id, node in prompt.items() if node["class_type"] in BROWSER_NODES]
    editor_ids = [node_id for node_id in browser_nodes if prompt[node_id]["class_type"] not in catalog]
    if not editor_ids or len(editor_ids) == len(prompt):
        return prompt, []
    relinked = _without_reroutes(prompt, editor_ids)
    removable = frozenset(editor_ids)
    kept = {node_id: node for node_id, node in relinked.items() if node_id not in removable}
    kept = _with_sources(kept, relinked)
    repairs = [_removal_repair(prompt, node_id) for node_id in editor_ids if node_id not in kept]
    if not repairs:
        return prompt, []
    return {node_id: node for node_id, node in relinked.items() if node_id in kept}, repairs


def _with_sources(kept: Prompt, prompt: Prompt) -> Prompt:
    """Return `kept` together with all nodes of `prompt` that it depends on, so that validation can report them."""
    kept, waiting = dict(kept), list(kept)
    while waiting:
        for _, source, _ in links(kept[waiting.pop()]):
            if source in prompt and source not in kept:
                kept[source] = prompt[source]
                waiting.append(source)
    return kept


def _without_reroutes(prompt: Prompt, editor_ids: list[str]) -> Prompt:
    """Return the prompt with each link from an editor node replaced by the link or value that this node passes on."""
    passed = {node_id: _forwarded_value(prompt[node_id]) for node_id in editor_ids}
    origins = _origins({node_id: value for node_id, value in passed.items() if value is not None})
    if not origins:
        return prompt
    return {node_id: _with_origins(node, origins) for node_id, node in prompt.items()}


def _forwarded_value(node: Node) -> Json:
    """Return what an editor node passes on: the link of a reroute, or the value of a primitive.

    Return None for other nodes, and for a node whose value is only known in the browser.
    """
    values, browser_node = list(node["inputs"].values()), BROWSER_NODES[node["class_type"]]
    by_name = bool(browser_node.gets_from)  # it reads a value that another node of the editor set under a name
    only_in_browser = bool(browser_node.refused)
    if len(values) != 1 or by_name or only_in_browser:
        return None
    if node["class_type"] == PRIMITIVE:
        return values[0] if isinstance(values[0], str | int | float) else None
    return values[0] if is_link(values[0]) else None


def _with_origins(node: Node, origins: Mapping[str, Json]) -> Node:
    """Return the node with its links from editor nodes replaced. `origins` has the replacement for each such node."""
    if not any(source in origins for _, source, _ in links(node)):
        return node
    return {**node, "inputs": {name: _origin(value, origins) for name, value in node["inputs"].items()}}


def _origin(value: Json, origins: Mapping[str, Json]) -> Json:
    """Return the replacement of a link from an editor node. Return any other value unchanged."""
    if isinstance(value, list) and is_link(value):
        return origins.get(str(value[0]), value)
    return value


def _origins(passed: Mapping[str, Json]) -> dict[str, Json]:
    """Return, for each editor node, the link or value at the start of its chain of editor nodes.

    `passed` has what each of them passes on, which may be a link to another one. Nodes in a cycle are omitted.
    """
    origins: dict[str, Json] = {}
    for node_id in passed:
        chain: dict[str, None] = {}  # the editor nodes on the way, in order
        origin: Json = [node_id, 0]  # begin with a link to the node itself
        while isinstance(origin, list) and is_link(origin):
            source = str(origin[0])
            if source not in passed:
                break
            if source in origins or source in chain:
                origin = origins.get(source)  # None in a cycle
                break
            chain[source] = None
            origin = passed[source]
        origins |= dict.fromkeys(chain, origin)
    return {node_id: origin for node_id, origin in origins.items() if origin is not None}


def _removal_repair(prompt: Prompt, node_id: str) -> Repair:
    """Return the repair that reports a removed node."""
    class_type = prompt[node_id]["class_type"]
    message = f"{class_type!r} is a node of the editor that ComfyUI does not have. The node is removed."
    if _forwarded_value(prompt[node_id]) is not None:
        message = f"{message} The value that it passes on replaces the links to it."
    return Repair(message, "editor_node", node_id, title(prompt, node_id), None, class_type, None)
