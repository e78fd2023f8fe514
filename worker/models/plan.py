"""What of a list of model files is there, what has to come, and what nobody knows how to get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.models.folder import ModelsFolder
from worker.workflow.templates.template import ModelFile


class ModelState(StrEnum):
    """UNKNOWN: it is not there, and nobody says where to get it. OTHER: a file of that name has another size."""

    HERE = "here"
    MISSING = "missing"
    UNKNOWN = "unknown"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """`here` is the size in bytes of what is there, None for nothing."""

    file: ModelFile
    state: ModelState
    present_size: int | None


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Sizes in bytes; those that nobody knows count nothing."""

    items: Sequence[PlannedModel]
    free: int

    @property
    def to_fetch(self) -> list[ModelFile]:
        return [item.file for item in self.items if item.state is ModelState.MISSING]

    @property
    def size(self) -> int:
        return sum(file.size or 0 for file in self.to_fetch)

    @property
    def complete(self) -> bool:
        return all(item.state is ModelState.HERE for item in self.items)


def plan(files: Iterable[ModelFile], folder: ModelsFolder) -> ModelPlan:
    """Each place once; of two sources for one the first is taken, one with a URL before one without."""
    chosen: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        known = chosen.get((file.folder, file.file))
        if known is None or (not known.url and file.url):
            chosen[file.folder, file.file] = file
    return ModelPlan([_item(file, folder) for file in chosen.values()], folder.free)


def _item(file: ModelFile, folder: ModelsFolder) -> PlannedModel:
    here = folder.size(file.folder, file.file)
    if here is None:
        return PlannedModel(file, ModelState.MISSING if file.url else ModelState.UNKNOWN, None)
    return PlannedModel(file, ModelState.HERE if folder.has(file) else ModelState.OTHER, here)
