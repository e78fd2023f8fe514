"""Hashes of everything that the result of a node depends on."""

from __future__ import annotations

from hashlib import blake2b

from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.json_value import Json

HASH_BYTES = 16


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
