"""Problems for node classes that the engine does not have, with the nodes and the node pack of each class."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.provider import pack_ids
from worker.workflow.prompt import Prompt, title
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.suggestion import missing_class_suggestion

MISSING = "missing_node_type"
MOST_NODES = 20
"""Maximum number of nodes that a message lists for one class."""
MOST_SUGGESTIONS = 20
"""Maximum number of classes for which a similar name is searched. One search takes 10 ms."""


def missing_classes(prompt: Prompt, catalog: Catalog, saved: object) -> Iterator[Problem]:
    """Yield a problem for each class that the catalog lacks. The problem names the first node of the class.

    `saved` is the workflow as the editor saved it, or None. It names the node packs of its nodes.
    """
    nodes: dict[str, list[str]] = {}
    for node_id, node in prompt.items():
        if node["class_type"] not in catalog:
            nodes.setdefault(node["class_type"], []).append(node_id)
    packs = pack_ids(saved) if nodes else {}
    for number, (class_type, ids) in enumerate(nodes.items()):
        # Without a catalog, no similar name is searched.
        searched = catalog if number < MOST_SUGGESTIONS else None
        yield Problem(
            node_id=ids[0],
            node_title=title(prompt, ids[0]),
            class_type=class_type,
            input=None,
            message=f"This ComfyUI has no node class {class_type!r}{listed_node_ids(ids)}.",
            suggestion=missing_class_suggestion(class_type, searched, packs.get(class_type)),
            comfyui_type=MISSING,
            expected="a class of this engine",
            kind=MISSING,
        )


def listed_node_ids(node_ids: list[str]) -> str:
    """Return " (nodes 1, 2, ...)" for a message, at most `MOST_NODES` ids, or "" for a single node.

    A single node is not listed, because the problem names it in a field of its own.
    """
    if len(node_ids) < 2:
        return ""
    more = f" and {len(node_ids) - MOST_NODES} more" if len(node_ids) > MOST_NODES else ""
    return f" (nodes {', '.join(node_ids[:MOST_NODES])}{more})"
