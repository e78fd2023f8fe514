"""Classes under a former name: those that ComfyUI itself replaces, and names that differ in blanks alone."""

from __future__ import annotations

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS, ReplacementError, rewrite
from worker.workflow.prompt import Node


def present_class(node: Node, catalog: Catalog) -> Node | None:
    """Return the node with the class that it has now; None where it stays.

    ComfyUI replaces a class by itself where the node has a `_meta`, and only fails where it has none.
    """
    class_type = node["class_type"]
    if class_type in catalog:
        return None
    replacement = REPLACEMENTS.get(class_type)
    if replacement is not None and replacement.new_class in catalog:
        if "_meta" in node:
            return None
        try:
            return rewrite({**node, "_meta": {}}, replacement)
        except ReplacementError:
            return None
    name = _but_for_blanks(class_type, catalog)
    return None if name is None else {**node, "class_type": name}


def _but_for_blanks(class_type: str, catalog: Catalog) -> str | None:
    """The one class whose name has the same letters, with other blanks at its ends."""
    bare = class_type.strip()
    found = [name for name in (bare, f"{bare} ", f" {bare}") if name in catalog]
    return found[0] if len(found) == 1 and bare else None
