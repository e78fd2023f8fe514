"""How large the models are that a prompt loads."""

from __future__ import annotations

from worker.models.folder import ModelsFolder, baked_models, models_folder
from worker.settings import Settings
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.model_needs import needed_models
from worker.workflow.prompt import Prompt


class ModelSizes:
    """Looks into the folders of models."""

    def __init__(self, settings: Settings) -> None:
        root = models_folder(settings)
        self._folder = ModelsFolder(root, baked=baked_models(settings)) if root else None

    def of(self, prompt: Prompt, catalog: Catalog) -> dict[str, int | None]:
        """Return the bytes of each model file that a prompt names, None for one that can't be seen."""
        return {need.file: self._size(need.folders, need.file) for need in needed_models(prompt, catalog)}

    def _size(self, folders: tuple[str, ...], file: str) -> int | None:
        if self._folder is None:
            return None
        sizes = (self._folder.size(folder, file) for folder in folders)
        return next((size for size in sizes if size is not None), None)
