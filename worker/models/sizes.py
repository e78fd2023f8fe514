"""Sizes of the model files that a prompt loads."""

from __future__ import annotations

from collections.abc import Iterable

from worker.models.folder import ModelsFolder
from worker.workflow.model_needs import ModelNeed


class ModelSizes:
    """Reads the sizes of model files. All sizes are None if the folder of models is not known."""

    def __init__(self, folder: ModelsFolder | None) -> None:
        self._folder = folder

    def of(self, needs: Iterable[ModelNeed]) -> dict[str, int | None]:
        """Return the size in bytes of each model file that a prompt needs, or None if it is not known."""
        return {need.file: self._size(need.folders, need.file) for need in needs}

    def _size(self, folders: tuple[str, ...], file: str) -> int | None:
        if self._folder is None:
            return None
        sizes = (self._folder.size(folder, file) for folder in folders)
        return next((size for size in sizes if size is not None), None)
