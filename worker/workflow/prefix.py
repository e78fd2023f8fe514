"""Fresh file name prefixes, so that ComfyUI's cache can't answer with a file that is gone."""

from __future__ import annotations

import secrets

from worker.workflow.prompt import Node, Prompt

PREFIX = "filename_prefix"


def fresh_prefixes(prompt: Prompt) -> Prompt | None:
    """The prompt with every node that saves under a prefix saving under a new one; None when no node does."""
    suffix = f"_{secrets.token_hex(4)}"
    changed = {node_id: _fresh(node, suffix) for node_id, node in prompt.items()}
    return changed if changed != prompt else None


def _fresh(node: Node, suffix: str) -> Node:
    prefix = node["inputs"].get(PREFIX)
    return {**node, "inputs": {**node["inputs"], PREFIX: prefix + suffix}} if isinstance(prefix, str) else node
