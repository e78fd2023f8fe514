"""Hashes of everything that the result of a node depends on."""

from __future__ import annotations

from hashlib import blake2b

import orjson

from worker.load.features.prompt_graph import PromptGraph

HASH_BYTES = 16


def ancestry(graph: PromptGraph) -> dict[str, bytes]:
    """Return a hash of each node over its class, its inputs and the hashes of the nodes that it is linked to.

    The ids of nodes do not count, as in ComfyUI's cache. Inside a cycle, a link has no hash.
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
                waiting.extend(source for _, source, _ in graph.sources[node_id] if source not in visited)
    return hashes


def _hash(graph: PromptGraph, node_id: str, hashes: dict[str, bytes]) -> bytes:
    """Return the hash of a node whose sources are hashed."""
    node = graph.prompt[node_id]
    sources = graph.sources[node_id]
    linked = {name for name, _, _ in sources}
    values = [(name, value) for name, value in node["inputs"].items() if name not in linked]
    digest = blake2b(node["class_type"].encode(errors="replace"), digest_size=HASH_BYTES)
    try:
        digest.update(orjson.dumps(sorted(values, key=lambda item: item[0])))
    except (TypeError, orjson.JSONEncodeError):  # nested too deeply, or no JSON
        digest.update(repr(sorted(linked)).encode(errors="replace"))
    for name, source, slot in sorted(sources):
        digest.update(
            name.encode(errors="replace") + slot.to_bytes(8, "big", signed=True) if abs(slot) < 2**62 else b""
        )
        digest.update(hashes.get(source, b""))
    return digest.digest()
