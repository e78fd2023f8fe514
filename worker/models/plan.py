"""Comparison of a list of model files with a folder of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.models.folder import ModelsFolder
from worker.workflow.templates.template import ModelFile


class ModelState(StrEnum):
    """State of a model file.

    HERE: present with the right size. MISSING: absent, and it can be fetched. UNKNOWN: absent, without a URL. OTHER: a
    file of that name has another size.
    """

    HERE = "here"
    MISSING = "missing"
    UNKNOWN = "unknown"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One file of a plan. `present_size` is the size in bytes of the file that is present, or None."""

    file: ModelFile
    state: ModelState
    present_size: int | None


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """State of all files. `free` is the free space on the disk in bytes."""

    items: Sequence[PlannedModel]
    free: int

    @property
    def to_fetch(self) -> list[ModelFile]:
        """Files that are missing and can be fetched."""
        return [item.file for item in self.items if item.state is ModelState.MISSING]

    @property
    def size(self) -> int:
        """Bytes to fetch. Files of unknown size count as 0."""
        return sum(file.size or 0 for file in self.to_fetch)

    @property
    def complete(self) -> bool:
        """Whether every file is present with the right size."""
        return all(item.state is ModelState.HERE for item in self.items)


def plan(files: Iterable[ModelFile], folder: ModelsFolder) -> ModelPlan:
    """Return the state of each file, without duplicates.

    If a file is listed several times, the first entry with a URL counts, or else the first entry.
    """
    chosen: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        earlier = chosen.get((file.folder, file.file))
        if earlier is None or (not earlier.url and file.url):
            chosen[file.folder, file.file] = file
    return ModelPlan([_planned_model(file, folder) for file in chosen.values()], folder.free)


def _planned_model(file: ModelFile, folder: ModelsFolder) -> PlannedModel:
    """Return a file with its state in the folder of models."""
    size = folder.size(file.folder, file.file)
    if size is None:
        return PlannedModel(file, ModelState.MISSING if file.url else ModelState.UNKNOWN, None)
    return PlannedModel(file, ModelState.HERE if folder.has(file) else ModelState.OTHER, size)
