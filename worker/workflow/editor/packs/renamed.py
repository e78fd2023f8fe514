"""ComfyUI's own classes that were renamed."""

from __future__ import annotations

from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS
from worker.workflow.editor.packs.pack_rules import PackRules
from worker.workflow.editor.saved_workflow import SavedNode


def rewrite_node(saved: SavedNode, catalog: Catalog) -> None:
    """Rename a class of ComfyUI that was replaced, and its slots, in the cases in which the server does it as well."""
    replacement = REPLACEMENTS.get(saved.type)
    if replacement is None or saved.type in catalog or replacement.new_class not in catalog:
        return
    if replacement.fixed:  # it also sets inputs, which a change of the names cannot do
        return
    saved.type = replacement.new_class
    new_names = {old: new for new, old in replacement.carried}
    for slot in saved.inputs:
        slot.name = new_names.get(slot.name, slot.name)
        slot.widget = new_names.get(slot.widget, slot.widget) if slot.widget else None


RENAMED: Final = PackRules("ComfyUI", rewrite_node=rewrite_node)
