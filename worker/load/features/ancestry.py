"""Hashes of everything that the result of a node depends on."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.catalog.folders import folders_of
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node

HASH_BYTES = 16
INPUT_FOLDER = "input"


def ancestry(graph: PromptGraph) -> dict[str, bytes]:
    """Return a hash of each node over its class, its inputs and the hashes of the nodes that it is linked to.

    The ids of nodes do not count, and 7 equals 7.0, as in ComfyUI's cache. Inside a cycle, a link has no hash.
    """
    hashes: dict[str, bytes] = {}
    visited: set[str] = set()
    for start in graph.prompt:
        waiting = [start]
        while waiting:
            node_id = waiting[-1]
            if node_id in hashes:
                waiting.pop()
            elif node_id in visited:
                hashes[node_id] = _hash(graph, node_id, hashes)
            else:
                visited.add(node_id)
                waiting.extend(source for source, _ in graph.sources[node_id].values() if source not in visited)
    return hashes


def without_input_files(graph: PromptGraph, hashes: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the hashes of the nodes that use no input file, directly or through others.

    ComfyUI gets the files of each job in a folder of its own, so it never has the results of the others.
    """
    users: dict[str, list[str]] = {}
    for node_id, sources in graph.sources.items():
        for source, _ in sources.values():
            users.setdefault(source, []).append(node_id)
    waiting = [node_id for node_id, node in graph.prompt.items() if _names_file(node)]
    reached = set(waiting)
    while waiting:
        new = [user for user in users.get(waiting.pop(), ()) if user not in reached]
        reached.update(new)
        waiting.extend(new)
    return {node_id: each for node_id, each in hashes.items() if node_id not in reached}


def _names_file(node: Node) -> bool:
    """Return whether a node takes the name of an input file."""
    texts = (name for name, value in node["inputs"].items() if isinstance(value, str))
    return any(INPUT_FOLDER in folders_of(node["class_type"], name) for name in texts)


def _hash(graph: PromptGraph, node_id: str, hashes: dict[str, bytes]) -> bytes:
    """Return the hash of a node whose sources are hashed."""
    node, sources = graph.prompt[node_id], graph.sources[node_id]
    digest = blake2b(node["class_type"].encode(errors="replace"), digest_size=HASH_BYTES)
    for name, value in sorted(node["inputs"].items(), key=_name):
        source = sources.get(name)
        if source is None:
            number = int(value) if isinstance(value, float) and value.is_integer() else value
            digest.update(repr((name, number)).encode(errors="replace"))
        else:
            digest.update(f"{name}\0{source.slot}\0".encode(errors="replace") + hashes.get(source.node_id, b""))
    return digest.digest()


def _name(item: tuple[str, Json]) -> str:
    """Return the name of an input, by which inputs are sorted."""
    return item[0]
