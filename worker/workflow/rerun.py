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
    """Return the prompt with `nodes` changed, so that ComfyUI runs them again and takes all others from its cache.

    If other nodes depend on one of them, a changed copy of it is added instead. Otherwise ComfyUI would run the
    dependent nodes again too.
    """
    token = secrets.token_hex(4)
    linked = {source for node in prompt.values() for _, source, _ in links(node)}
    changed, original_ids = dict(prompt), {}
    for node_id in nodes:
        new_id = f"{node_id}-{token}" if node_id in linked else node_id
        changed[new_id] = _with_new_cache_key(prompt[node_id], token)
        original_ids[new_id] = node_id
    return RerunPrompt(changed, original_ids)


def node_digest(prompt: Prompt, node_id: str) -> bytes:
    """Return a digest of a node and of everything that it depends on, to recognize equal nodes in two prompts.

    A node that `rerun_nodes` changed with an extra input has the same digest as the original node.
    """
    if node_id not in prompt:  # created at run time by the expansion of another node
        return node_id.encode()
    sources = {source: _class_and_inputs(prompt[source]) for source in ancestors(prompt, node_id)}
    return blake2b(
        orjson.dumps([_class_and_inputs(prompt[node_id]), sources], option=orjson.OPT_SORT_KEYS), digest_size=16
    ).digest()


def _class_and_inputs(node: Node) -> list[Json]:
    """Return [class, inputs] of a node, without the input that only makes ComfyUI run it again."""
    return [node["class_type"], {name: value for name, value in node["inputs"].items() if name != AGAIN}]


def _with_new_cache_key(node: Node, token: str) -> Node:
    """Return the node with one input added or changed, so that ComfyUI's cache has no result for it.

    `token` is a random text. A node that would receive the extra input gets a new file name prefix instead.
    """
    prefix = node["inputs"].get(PREFIX)
    change: dict[str, Json] = {AGAIN: token}
    if node["class_type"] in TAKES_ANY_INPUT and isinstance(prefix, str):
        change = {PREFIX: f"{prefix}_{token}"}
    return {**node, "inputs": {**node["inputs"], **change}}
