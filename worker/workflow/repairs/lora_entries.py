"""LoRAs in the entries of rgthree's Power Lora Loader, named as Windows names them."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.lora_names import nearest_part
from worker.workflow.loras import POWER_LORA_LOADER, listed_loras
from worker.workflow.prompt import Node
from worker.workflow.repairs.value_change import ValueChange


def entry_changes(node: Node, catalog: Catalog) -> Iterator[ValueChange]:
    """Yield the entries whose file is found when the folders of its name are divided in the other way."""
    if node["class_type"] != POWER_LORA_LOADER:
        return
    listed = listed_loras(catalog)
    for key, value in node["inputs"].items():
        name = value.get("lora") if isinstance(value, dict) else None
        if not isinstance(name, str) or not isinstance(value, dict) or "\\" not in name:
            continue
        found = nearest_part(name.replace("\\", "/"), listed)
        if found is not None and nearest_part(name, listed) is None:
            message = f"{name!r} is written {found!r} here: the folders of a name are divided in another way."
            yield ValueChange(key, value, {**value, "lora": found}, "path_separator", message)
