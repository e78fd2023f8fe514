"""Classes of ComfyUI's own that have another name today."""

from __future__ import annotations

from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS
from worker.workflow.editor.packs.pack import Pack
from worker.workflow.editor.saved import SavedNode


def read(saved: SavedNode, catalog: Catalog) -> None:
    """Give the node its class's present name, and its slots theirs, where the server would do so too."""
    replacement = REPLACEMENTS.get(saved.type)
    if replacement is None or replacement.fixed or saved.type in catalog or replacement.new_class not in catalog:
        return
    saved.type = replacement.new_class
    names = {old: new for new, old in replacement.carried}
    for slot in saved.inputs:
        slot.name = names.get(slot.name, slot.name)
        slot.widget = names.get(slot.widget, slot.widget) if slot.widget else None


RENAMED: Final = Pack("ComfyUI", read=read)
