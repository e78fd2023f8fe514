"""The node packs of an image and the classes they have to provide, from the record of the image's build."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

RECORD = "pins.json"
"""File in ComfyUI's folder that the build of an image writes."""


def needed_classes(comfyui: Path) -> dict[str, list[str]]:
    """Return the required classes by pack, or nothing for a ComfyUI that was not installed by the build of an image."""
    record = comfyui / RECORD
    if not record.is_file():
        return {}
    return {name: list(row.get("needs", ())) for name, row in json.loads(record.read_bytes()).items()}


def missing_class_messages(needed: Mapping[str, Collection[str]], classes: Collection[str]) -> Iterator[str]:
    """Yield a message for each pack that does not provide all of its required classes."""
    for name, required in needed.items():
        if missing := [class_type for class_type in required if class_type not in classes]:
            yield f"node pack {name} lacks {', '.join(missing)}: see ComfyUI's log for its import"
