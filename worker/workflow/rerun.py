"""Changes a prompt so that some nodes write their files again, while ComfyUI takes the others from its cache."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, ancestors, links

AGAIN = "comfy_worker_again"
"""An input that no class declares. It changes the cache key in ComfyUI and is not passed to the node (0.33.0)."""
PREFIX = "filename_prefix"
TAKES_ANY_INPUT = frozenset({"VHS_VideoCombine"})
"""Output nodes that would receive the extra input. They get another file name prefix instead."""


@dataclass(frozen=True, slots=True)
class RerunPrompt:
    """A prompt, and the nodes that write again: ids in this prompt mapped to ids in the original one."""

    prompt: Prompt
    nodes: dict[str, str]


def rerun_nodes(prompt: Prompt, nodes: Collection[str]) -> RerunPrompt:
    """Return the prompt with these nodes changed so that ComfyUI runs them again, and no other nodes.

    If other nodes depend on a node, a copy of it is added instead: a change would also run its dependents again.
    """
    token = secrets.token_hex(4)
    linked = {source for node in prompt.values() for _, source, _ in links(node)}
    changed, original_ids = dict(prompt), {}
    for node_id in nodes:
        new_id = f"{node_id}-{token}" if node_id in linked else node_id
        changed[new_id] = _changed(prompt[node_id], token)
        original_ids[new_id] = node_id
    return RerunPrompt(changed, original_ids)


def node_digest(prompt: Prompt, node_id: str) -> bytes:
    """Return a digest of everything that a node depends on. A node that writes again has the same digest."""
    if node_id not in prompt:  # created at run time by the expansion of another node
        return node_id.encode()
    sources = {source: _inputs(prompt[source]) for source in ancestors(prompt, node_id)}
    return blake2b(
        orjson.dumps([_inputs(prompt[node_id]), sources], option=orjson.OPT_SORT_KEYS), digest_size=16
    ).digest()


def _inputs(node: Node) -> list[Json]:
    return [node["class_type"], {name: value for name, value in node["inputs"].items() if name != AGAIN}]


def _changed(node: Node, token: str) -> Node:
    """Return the node with an input changed, so that its cache key is new."""
    prefix = node["inputs"].get(PREFIX)
    change: dict[str, Json] = {AGAIN: token}
    if node["class_type"] in TAKES_ANY_INPUT and isinstance(prefix, str):
        change = {PREFIX: f"{prefix}_{token}"}
    return {**node, "inputs": {**node["inputs"], **change}}
