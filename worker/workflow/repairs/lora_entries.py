"""Repairs LoRA names with Windows separators in the entries of rgthree's Power Lora Loader."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.lora_names import find_by_part
from worker.workflow.loras import POWER_LORA_LOADER, listed_loras
from worker.workflow.prompt import Node
from worker.workflow.repairs.value_change import ValueChange


def entry_changes(node: Node, catalog: Catalog) -> Iterator[ValueChange]:
    """Yield a change for each entry whose LoRA name has backslashes, if no listed file has them.

    Yield nothing for a node of another class, or if the server runs on Windows, where backslashes are valid.
    """
    if node["class_type"] != POWER_LORA_LOADER:
        return
    listed = listed_loras(catalog)
    if any("\\" in file for file in listed):
        return
    for key, value in node["inputs"].items():
        if not isinstance(value, dict):
            continue
        name = value.get("lora")
        if isinstance(name, str) and "\\" in name and find_by_part(name, listed) is None:
            runs = name.replace("\\", "/")  # the file need not be listed: it may still be downloading
            message = f"{name!r} runs as {runs!r}: this server uses another folder separator."
            yield ValueChange(key, value, {**value, "lora": runs}, "path_separator", message)
