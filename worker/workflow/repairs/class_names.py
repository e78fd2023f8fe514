"""Classes under a former name: those that ComfyUI itself replaces, and names that differ in blanks alone."""

from __future__ import annotations

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS, NodeReplacement, ReplacementError, rewrite
from worker.workflow.prompt import Node


def current_class(node: Node, catalog: Catalog) -> Node | None:
    """Return the node with the class that it has now; None where it stays."""
    class_type = node["class_type"]
    if class_type in catalog:
        return None
    replacement = REPLACEMENTS.get(class_type)
    if replacement is not None and replacement.new_class in catalog:
        return _replaced(node, replacement)
    name = _but_for_blanks(class_type, catalog)
    return None if name is None else {**node, "class_type": name}


def _replaced(node: Node, replacement: NodeReplacement) -> Node | None:
    """What ComfyUI would do by itself if it could.

    It fails where the node has no `_meta`. A class that was only renamed loses all its inputs there, so that ComfyUI
    refuses it for want of them.
    """
    if not replacement.carried and not replacement.fixed:
        return {**node, "class_type": replacement.new_class}
    if "_meta" in node:
        return None
    try:
        rewritten = rewrite({**node, "_meta": {}}, replacement)
    except ReplacementError:
        return None
    return {"class_type": rewritten["class_type"], "inputs": rewritten["inputs"]}


def _but_for_blanks(class_type: str, catalog: Catalog) -> str | None:
    """The one class whose name has the same letters, with other blanks at its ends."""
    bare = class_type.strip()
    found = [name for name in (bare, f"{bare} ", f" {bare}") if name in catalog]
    return found[0] if len(found) == 1 and bare else None
