"""The cache of node outputs. The key is a signature of everything that determines the outputs of a node."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.folders import temp_suffix
from worker.simulators.comfyui.settings import CachePolicy
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import Presence
from worker.workflow.prompt import Prompt, is_link

MAX_ENTRIES = 500
"""Maximum number of cached nodes. Above it, the least recently used ones are evicted."""


@dataclass(frozen=True, slots=True)
class UiOutput:
    """A node's `ui` output: `output` is sent to clients, and `meta` is stored in the history."""

    output: dict[str, object]
    meta: dict[str, object]


@dataclass(frozen=True, slots=True)
class NodeOutputs:
    """The outputs of one node: a list of values for each output slot, and its `ui` output, if any."""

    slots: tuple[list[Value], ...]
    ui: UiOutput | None


Signature = bytes


def signatures(prompt: Prompt, catalog: Catalog, fingerprint: Callable[[str], str | None]) -> dict[str, Signature]:
    """Return a signature for each node. Nodes with equal signatures have equal outputs.

    A signature covers the node's class, its inputs, the signatures of its source nodes, and `fingerprint(node_id)`,
    which stands for data that the node reads elsewhere. It covers the node id only for classes with the hidden input
    UNIQUE_ID.
    """
    signed: dict[str, Signature] = {}
    for start in prompt:
        stack = [start]
        while stack:
            node_id = stack[-1]
            missing = [source for source in _sources(prompt, node_id) if source not in signed]
            if missing and not set(missing) & set(stack):
                stack += missing
                continue
            if node_id not in signed:
                # Sources are missing if they are in a cycle with the node. No output needs such a node, so that its id
                # is signature enough.
                signed[node_id] = node_id.encode() if missing else _sign(prompt, node_id, catalog, fingerprint, signed)
            stack.pop()
    return signed


class OutputCache:
    """Cached outputs, read by the node ids of the current prompt."""

    def __init__(self, policy: CachePolicy) -> None:
        self._policy = policy
        self._stored: OrderedDict[Signature, NodeOutputs] = OrderedDict()
        self._signatures: Mapping[str, Signature] = {}

    def begin(self, signed: Mapping[str, Signature]) -> list[str]:
        """Make a prompt with these signatures by node id the current one. Return the ids of its cached nodes.

        With the policy `LAST_PROMPT`, cached outputs that the prompt does not use are removed.
        """
        self._signatures = signed
        if self._policy is CachePolicy.LAST_PROMPT:
            current = set(signed.values())
            for signature in list(self._stored):
                if signature not in current:
                    del self._stored[signature]
        return [node_id for node_id in signed if node_id in self]

    def __contains__(self, node_id: object) -> bool:
        """Return whether the outputs of a node of the current prompt are cached."""
        return isinstance(node_id, str) and self._signatures.get(node_id) in self._stored

    def __getitem__(self, node_id: str) -> NodeOutputs:
        """Return the cached outputs of a node of the current prompt, and mark them as just used.

        Raises KeyError when they are not cached.
        """
        signature = self._signatures[node_id]
        self._stored.move_to_end(signature)
        return self._stored[signature]

    def get(self, node_id: str) -> NodeOutputs | None:
        """Return the cached outputs of a node of the current prompt, and mark them as just used.

        Return None when they are not cached.
        """
        if node_id not in self:
            return None
        return self[node_id]

    def store(self, node_id: str, outputs: NodeOutputs) -> None:
        """Cache the outputs of a node of the current prompt.

        Above `MAX_ENTRIES` cached nodes, the least recently used ones are evicted.
        """
        self._stored[self._signatures[node_id]] = outputs
        while len(self._stored) > MAX_ENTRIES:
            self._stored.popitem(last=False)

    def clear(self) -> None:
        """Remove all cached outputs."""
        self._stored.clear()


class NodeInstances:
    """State that ComfyUI's node objects keep between prompts. The first prompt without a node removes its object."""

    def __init__(self) -> None:
        self._suffixes: dict[tuple[str, str], str] = {}

    def begin(self, prompt: Prompt) -> None:
        """Remove the objects of nodes that the prompt, which starts now, does not have."""
        present = {(node_id, node["class_type"]) for node_id, node in prompt.items()}
        self._suffixes = {key: suffix for key, suffix in self._suffixes.items() if key in present}

    def preview_suffix(self, node_id: str, class_type: str) -> str:
        """Return the random suffix of a node's preview names. It is the same for the life of the node's object."""
        return self._suffixes.setdefault((node_id, class_type), temp_suffix())

    def clear(self) -> None:
        """Remove all objects."""
        self._suffixes.clear()


def _sources(prompt: Prompt, node_id: str) -> list[str]:
    """Return the ids of the nodes to which the inputs of a node link."""
    return [
        str(value[0])
        for value in prompt[node_id].get("inputs", {}).values()
        if isinstance(value, list) and is_link(value) and value[0] in prompt
    ]


def _sign(
    prompt: Prompt,
    node_id: str,
    catalog: Catalog,
    fingerprint: Callable[[str], str | None],
    signed: Mapping[str, Signature],
) -> Signature:
    """Return the signature of a node whose sources are signed."""
    node = prompt[node_id]
    digest = blake2b(node["class_type"].encode(), digest_size=16)
    digest.update(repr(fingerprint(node_id)).encode())
    if _has_unique_id(catalog, node["class_type"]):
        digest.update(b"\0" + node_id.encode())
    for name, value in sorted(node.get("inputs", {}).items()):
        digest.update(b"\0" + name.encode() + b"\0")
        if isinstance(value, list) and is_link(value) and value[0] in signed:
            digest.update(b"\1" + signed[str(value[0])] + str(value[1]).encode())
        else:
            # orjson rejects integers of more than 64 bits, which validation makes from text.
            digest.update(json.dumps(value, sort_keys=True).encode())
    return digest.digest()


def _has_unique_id(catalog: Catalog, class_type: str) -> bool:
    """Return whether a class has the hidden input UNIQUE_ID."""
    return any(spec.presence is Presence.HIDDEN and spec.type == "UNIQUE_ID" for spec in catalog[class_type].inputs)
