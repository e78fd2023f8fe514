"""The node packs of this image, by the record that its build has left: what they have to offer, and what they don't."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

RECORD = "pins.json"


def needed_classes(comfyui: Path) -> dict[str, list[str]]:
    """By the name of the pack; nothing where no build has laid down this ComfyUI."""
    record = comfyui / RECORD
    if not record.is_file():
        return {}
    return {name: list(row.get("needs", ())) for name, row in json.loads(record.read_bytes()).items()}


def missing_class_messages(needed: Mapping[str, Collection[str]], classes: Collection[str]) -> Iterator[str]:
    """A sentence for each pack that doesn't offer all of it."""
    for name, wanted in needed.items():
        if missing := [one for one in wanted if one not in classes]:
            yield f"node pack {name} lacks {', '.join(missing)}: see ComfyUI's log for its import"
