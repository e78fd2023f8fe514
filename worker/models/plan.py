"""What of a list of model files is there, what has to come, and what nobody knows how to get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.graph.template import ModelFile
from worker.models.folder import ModelsFolder


class State(StrEnum):
    """UNKNOWN: it is not there, and nobody says where to get it. OTHER: a file of that name has another size."""

    HERE = "here"
    MISSING = "missing"
    UNKNOWN = "unknown"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Item:
    """`here` is the size in bytes of what is there, None for nothing."""

    file: ModelFile
    state: State
    here: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes in bytes; those that nobody knows count nothing."""

    items: Sequence[Item]
    free: int

    @property
    def to_fetch(self) -> list[ModelFile]:
        return [item.file for item in self.items if item.state is State.MISSING]

    @property
    def size(self) -> int:
        return sum(file.size or 0 for file in self.to_fetch)

    @property
    def complete(self) -> bool:
        return all(item.state is State.HERE for item in self.items)


def plan(files: Iterable[ModelFile], folder: ModelsFolder) -> Plan:
    """Each place once; of two sources for one the first is taken, one with a URL before one without."""
    chosen: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        known = chosen.get((file.folder, file.file))
        if known is None or (not known.url and file.url):
            chosen[file.folder, file.file] = file
    return Plan([_item(file, folder) for file in chosen.values()], folder.free)


def _item(file: ModelFile, folder: ModelsFolder) -> Item:
    here = folder.size(file.folder, file.file)
    if here is None:
        return Item(file, State.MISSING if file.url else State.UNKNOWN, None)
    return Item(file, State.HERE if folder.has(file) else State.OTHER, here)
