"""Whether a file that a prompt names is there: the one question that validation asks of the outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from worker.workflow.catalog.node_class import NodeClass


class FileCheck(Protocol):
    """Knows the files of a machine.

    `folder` is a model folder ("checkpoints", "loras", ...) or "input", "output", "temp"; `name` is relative to it. The
    folder "" is the machine: `name` is the path of a file, as ComfyUI's process would open it. A name that ends in
    `/` is of a folder, one that ends in `/*` of a folder with something in it.
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


class LocalFiles:
    """The files of a ComfyUI on this machine, by its folders "input", "output" and "temp".

    `working` is where its process runs. Of a folder that is not given, every file is taken for present; so is, in the
    folder of inputs, what is `coming`. Choices take what the catalog lists only, as ComfyUI's do: a catalog that has
    just been read lists what is there.
    """

    def __init__(self, folders: Mapping[str, Path], working: Path | None, coming: Collection[str] = ()) -> None:
        self._folders = {**folders, "": working} if working is not None else folders
        self._coming = coming

    def exists(self, folder: str, name: str) -> bool:
        if folder not in self._folders or (folder == "input" and name in self._coming):
            return folder in {"input", "output", "temp", ""}
        if not name or "\0" in name:
            return False
        path = self._folders[folder] / name.removesuffix("/*")
        if name.endswith("/*"):
            return path.is_dir() and any(path.iterdir())
        return path.is_dir() if name.endswith("/") else path.is_file()


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
        return name.removesuffix("*").removesuffix("/") in self._uploads


class ClassFiles:
    """The files of a machine, and those that one class lists: it lists them because it finds them."""

    def __init__(self, files: ListedFiles, node_class: NodeClass) -> None:
        self._files = files
        self._listed = {name for spec in node_class.inputs for name in spec.options or () if isinstance(name, str)}

    def exists(self, folder: str, name: str) -> bool:
        """`name [output]` in a list is a file of the folder `output`; a name without one is of `input`."""
        bare = name.removesuffix("*").removesuffix("/")
        forms = {f"{bare} [{folder}]", bare} if folder == "input" else {f"{bare} [{folder}]"}
        return not forms.isdisjoint(self._listed) or self._files.exists(folder, name)


def files_of_class(files: FileCheck | None, node_class: NodeClass) -> FileCheck:
    """Return what the own check of a class asks for files."""
    if isinstance(files, ListedFiles):
        return ClassFiles(files, node_class)
    return AssumeFiles() if files is None else files


def accepts_unlisted_file(files: FileCheck | None, folder: str, name: str) -> bool:
    """Tell whether a choice takes a file that its list does not have: not where the catalog is all that there is."""
    return files is not None and not isinstance(files, LocalFiles | ListedFiles) and files.exists(folder, name)


def _listed(classes: Iterable[NodeClass], folder: str) -> Iterable[str]:
    for node_class in classes:
        for spec in node_class.inputs:
            if folder in spec.folders:
                yield from (option for option in spec.options or () if isinstance(option, str))
