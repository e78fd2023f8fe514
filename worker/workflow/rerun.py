"""A prompt in which some nodes write their files once more, while ComfyUI answers the others from its cache."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, ancestors, links

AGAIN = "comfy_worker_again"
"""An input that no class declares: it changes the key of ComfyUI's cache and reaches no node (seen on 0.33.0)."""
PREFIX = "filename_prefix"
TAKES_ANY_INPUT = frozenset({"VHS_VideoCombine"})
"""Output nodes that would be handed the input; they get another prefix instead."""


@dataclass(frozen=True, slots=True)
class RerunPrompt:
    """A prompt, and the nodes in it that write, each with its name in the workflow."""

    prompt: Prompt
    nodes: dict[str, str]


def rerun_nodes(prompt: Prompt, nodes: Collection[str]) -> RerunPrompt:
    """Return the prompt with these nodes changed so that ComfyUI has to run them, and nothing before or after them.

    A node with others behind it stays as it is, as they would run again too: a copy of it writes.
    """
    token = secrets.token_hex(4)
    linked = {source for node in prompt.values() for _, source, _ in links(node)}
    changed, names = dict(prompt), {}
    for node_id in nodes:
        name = f"{node_id}-{token}" if node_id in linked else node_id
        changed[name] = _changed(prompt[node_id], token)
        names[name] = node_id
    return RerunPrompt(changed, names)


def node_digest(prompt: Prompt, node_id: str) -> bytes:
    """Return a digest of all that goes into a node: the same for one that writes once more."""
    if node_id not in prompt:  # another node expanded into it
        return node_id.encode()
    sources = {source: _inputs(prompt[source]) for source in ancestors(prompt, node_id)}
    return blake2b(
        orjson.dumps([_inputs(prompt[node_id]), sources], option=orjson.OPT_SORT_KEYS), digest_size=16
    ).digest()


def _inputs(node: Node) -> list[Json]:
    return [node["class_type"], {name: value for name, value in node["inputs"].items() if name != AGAIN}]


def _changed(node: Node, token: str) -> Node:
    prefix = node["inputs"].get(PREFIX)
    again: dict[str, Json] = {AGAIN: token}
    if node["class_type"] in TAKES_ANY_INPUT and isinstance(prefix, str):
        again = {PREFIX: f"{prefix}_{token}"}
    return {**node, "inputs": {**node["inputs"], **again}}
