"""Scans an engine's output folder for model files that jobs wrote. ComfyUI lists models from there, too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from worker.workflow.catalog.saved_models import NO_SAVED_MODELS, SAVED_INTO, SavedModels, is_model

OLDER_NAMES = {"text_encoders": "clip", "diffusion_models": "unet"}
"""Older names of two folders of models. ComfyUI reads the folders of both names."""
MOST_ENTRIES = 100_000
"""Number of entries of a folder after which a scan stops, so that a job cannot make it slow."""


class SavedModelFolders:
    """The folders in which jobs can save models.

    `output` is the engine's output folder, or None if this process cannot reach it. `models` are the operator's
    folders.
    """

    def __init__(self, output: Path | None, models: Sequence[Path] = ()) -> None:
        self._folders = {output / name: folder for name, folder in SAVED_INTO.items()} if output else {}
        self._models = tuple(models)

    async def scan(self, earlier: SavedModels = NO_SAVED_MODELS) -> SavedModels:
        """Return the model files of jobs that exist now, and those in `earlier`."""
        # In most cases there are none, and no thread has to be started.
        if not earlier and not any(folder.is_dir() for folder in self._folders):
            return NO_SAVED_MODELS
        return await asyncio.to_thread(self._scan, earlier)

    def _scan(self, earlier: SavedModels) -> SavedModels:
        """Read the folders. Files with the name of an operator's file are in the second field of the result."""
        by_folder = {folder: frozenset(_model_files(path)) for path, folder in self._folders.items()}
        saved = SavedModels(by_folder).merged_with(SavedModels(earlier.by_folder))
        return SavedModels(saved.by_folder, frozenset(self._operators_files(saved.by_folder)))

    def _operators_files(self, saved: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
        """Yield the models folder and the name of each operator's file that has the name of a saved file."""
        names = frozenset().union(*saved.values())
        for folder in saved:
            aliases = {folder, OLDER_NAMES.get(folder, folder)}
            model_folders = [str(root / alias) for root in self._models for alias in aliases if (root / alias).is_dir()]
            for name in names:
                if any(os.path.isfile(f"{place}/{name}") for place in model_folders):  # noqa: PTH113 - a tenth of the time
                    yield folder, name


def _model_files(root: Path) -> Iterator[str]:
    """Yield the relative paths of the model files below a folder, with slashes."""
    entries = 0
    for folder, _, names in os.walk(root):
        entries += 1 + len(names)
        if entries > MOST_ENTRIES:
            return
        yield from (os.path.relpath(f"{folder}/{name}", root).replace(os.sep, "/") for name in names if is_model(name))
