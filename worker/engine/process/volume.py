"""The models on a network volume, such as RunPod's. The worker reads them and never changes anything there."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from worker.settings import Settings
from worker.workflow.nearest import did_you_mean

log = logging.getLogger(__name__)

MOST_ENTRIES = 100_000
"""Entries after which the listing of a volume stops."""
MIB = 1024 * 1024


def volume_models(settings: Settings) -> Path | None:
    """Return the folder of models on the network volume, or None if there is none."""
    folder = settings.models.volume.absolute() / "models"
    return folder if folder.is_dir() else None


def log_volume(settings: Settings, known_folders: Collection[str]) -> None:
    """Log what is on the network volume, if the settings ask for it. `known_folders` are those that ComfyUI reads."""
    if settings.models.volume_debug:
        for line in volume_report(settings.models.volume.absolute(), known_folders):
            log.info("%s", line)


def volume_report(volume: Path, known_folders: Collection[str]) -> Iterator[str]:
    """Yield a line for each folder of models on a volume, with its files, and for each problem with the layout."""
    models = volume / "models"
    if not models.is_dir():
        problem = "it has no folder `models`" if volume.is_dir() else "it does not exist: no volume is mounted there"
        yield f"network volume {volume}: {problem}"
        return
    yield f"network volume {volume}: ComfyUI uses the models below {models}"
    for path in sorted(models.iterdir()):
        if path.is_file():
            yield f"{path}: ComfyUI finds no model outside the folder of its kind, such as checkpoints"
        elif path.name not in known_folders and not path.name.startswith("."):
            suggestion = did_you_mean(path.name, known_folders)
            yield f"{path}: no folder of ComfyUI has this name" + (f": {suggestion}" if suggestion else "")
        else:
            yield _folder_line(path)


def _folder_line(folder: Path) -> str:
    """Return the line for one folder: the number of its files, their size, and the first names."""
    names: list[str] = []
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            path = Path(root, name)
            names.append(path.relative_to(folder).as_posix())
            size += path.stat().st_size if path.exists() else 0
        if len(names) > MOST_ENTRIES:
            break
    shown = ", ".join(sorted(names)[:20]) + (", ..." if len(names) > 20 else "")
    return f"{folder}: {len(names)} files, {size / MIB:.0f} MiB" + (f": {shown}" if names else "")
