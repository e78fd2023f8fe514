"""Repairs class names: classes that ComfyUI has replaced, and names with extra or missing spaces."""

from __future__ import annotations

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS, NodeReplacement, ReplacementError, rewrite
from worker.workflow.prompt import Node


def current_class(node: Node, catalog: Catalog) -> Node | None:
    """Return the node with the current name of its class, or None if it needs no change or no current name is known."""
    class_type = node["class_type"]
    if class_type in catalog:
        return None
    replacement = REPLACEMENTS.get(class_type)
    if replacement is not None and replacement.new_class in catalog:
        return _replaced(node, replacement)
    name = _name_with_other_spaces(class_type, catalog)
    return None if name is None else {**node, "class_type": name}


def _replaced(node: Node, replacement: NodeReplacement) -> Node | None:
    """Return the node with its class replaced, in the cases in which ComfyUI's own replacement fails, else None.

    ComfyUI fails if the node has no `_meta`. It drops all inputs of a class that was only renamed, and then rejects
    the node because required inputs are missing.
    """
    if not replacement.carried and not replacement.fixed:  # the class was only renamed
        return {**node, "class_type": replacement.new_class}
    if "_meta" in node:
        return None
    try:
        rewritten = rewrite({**node, "_meta": {}}, replacement)
    except ReplacementError:
        return None
    return {"class_type": rewritten["class_type"], "inputs": rewritten["inputs"]}


def _name_with_other_spaces(class_type: str, catalog: Catalog) -> str | None:
    """Return the class whose name differs only in spaces at its ends. Return None if there is none, or several."""
    stripped = class_type.strip()
    names = [name for name in (stripped, f"{stripped} ", f" {stripped}") if name in catalog]
    return names[0] if len(names) == 1 and stripped else None
