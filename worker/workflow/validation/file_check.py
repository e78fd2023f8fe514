"""Whether a file that a prompt names is there: the one question that validation asks of the outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from worker.workflow.catalog.node_class import NodeClass


class FileCheck(Protocol):
    """Knows the files of a machine.

    `folder` is a model folder ("checkpoints", "loras", ...) or "input", "output", "temp"; `name` is relative to it.
    """

    def exists(self, folder: str, name: str) -> bool: ...


class AssumeFiles:
    """Takes every file for present: for engines that make things up and for checks away from the machine."""

    def exists(self, folder: str, name: str) -> bool:
        return True


class AssumeUploads:
    """For a prompt whose pictures are still on their way: those are taken for present, models only where listed."""

    def exists(self, folder: str, name: str) -> bool:
        return folder in {"input", "output", "temp", ""}


class ListedFiles:
    """Those that a catalog of a machine lists, its uploads too; read when somebody first asks."""

    def __init__(self, catalog: Mapping[str, NodeClass]) -> None:
        self._catalog = catalog
        self._uploads: frozenset[str] | None = None

    def exists(self, folder: str, name: str) -> bool:
        """Models are looked up where they are chosen, in the choice itself."""
        if folder != "input":
            return False
        if self._uploads is None:
            self._uploads = frozenset(_listed(self._catalog.values(), "input"))
        return name in self._uploads


def _listed(classes: Iterable[NodeClass], folder: str) -> Iterable[str]:
    for node_class in classes:
        for spec in node_class.inputs:
            if folder in spec.folders:
                yield from (option for option in spec.options or () if isinstance(option, str))
