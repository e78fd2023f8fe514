"""Checks whether a file that a prompt names exists. This is the only thing that validation needs from outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from worker.workflow.catalog.node_class import NodeClass


class FileCheck(Protocol):
    """Interface to the files of a machine."""

    def exists(self, folder: str, name: str) -> bool:
        """Return whether a file or folder exists.

        `folder` is a model folder ("checkpoints", "loras", ...) or "input", "output" or "temp", and `name` is relative
        to it. If `folder` is "", `name` is a path of the machine as ComfyUI's process would open it. A name that ends
        in `/` is a folder. A name that ends in `/*` is a folder that is not empty.
        """
        ...


class AssumeFiles:
    """Assumes that every file exists: for simulated engines, and for checks without access to the machine."""

    def exists(self, folder: str, name: str) -> bool:
        """Return True: every file is assumed to exist."""
        return True


class AssumeUploads:
    """Assumes that input files exist, because they are not uploaded yet. Models must be in the catalog."""

    def exists(self, folder: str, name: str) -> bool:
        """Return True for a file of a path or of ComfyUI's own folders, and False for a model."""
        return folder in {"input", "output", "temp", ""}


class LocalFiles:
    """The files of a ComfyUI on this machine.

    `folders` are its folders "input", "output" and "temp". `working_folder` is the working directory of its process.
    In a folder that is missing from `folders`, every file is assumed to exist. In the input folder, the files in
    `expected` are assumed to exist too, because they will be uploaded. File inputs only accept what the catalog lists,
    as in ComfyUI, because the catalog has just been read from it.
    """

    def __init__(
        self, folders: Mapping[str, Path], working_folder: Path | None, expected: Collection[str] = ()
    ) -> None:
        self._folders = {**folders, "": working_folder} if working_folder is not None else folders
        self._expected = expected

    def exists(self, folder: str, name: str) -> bool:
        """Return whether a file or folder exists on this machine, or is assumed to exist."""
        if folder == "input" and name in self._expected:
            return True
        if folder not in self._folders:  # a file of an unknown folder is assumed to exist, but no model is
            return folder in {"input", "output", "temp", ""}
        if not name or "\0" in name:
            return False
        path = self._folders[folder] / name.removesuffix("/*")
        if name.endswith("/*"):
            return path.is_dir() and any(path.iterdir())
        return path.is_dir() if name.endswith("/") else path.is_file()


class ListedFiles:
    """The files that the catalog of a machine lists, including uploads. The list is built at the first use."""

    def __init__(self, catalog: Mapping[str, NodeClass]) -> None:
        self._catalog = catalog
        self._uploads: frozenset[str] | None = None

    def exists(self, folder: str, name: str) -> bool:
        """Return whether an uploaded file exists. Models are not checked here, but in the choices of their input."""
        if folder != "input":
            return False
        if self._uploads is None:
            self._uploads = frozenset(_listed_files(self._catalog.values(), "input"))
        path = name.removesuffix("*").removesuffix("/")  # the name of a folder ends in `/` or `/*`
        return path in self._uploads


class ClassFiles:
    """The files of a machine, and the files that one class lists in its own inputs."""

    def __init__(self, files: ListedFiles, node_class: NodeClass) -> None:
        self._files = files
        self._listed = {name for spec in node_class.inputs for name in spec.options or () if isinstance(name, str)}

    def exists(self, folder: str, name: str) -> bool:
        """Return whether a file exists. In a list, `name [output]` is in the output folder, a plain name in `input`."""
        path = name.removesuffix("*").removesuffix("/")  # the name of a folder ends in `/` or `/*`
        is_listed = f"{path} [{folder}]" in self._listed or (folder == "input" and path in self._listed)
        return is_listed or self._files.exists(folder, name)


def files_of_class(files: FileCheck | None, node_class: NodeClass) -> FileCheck:
    """Return the file check for the validator of one class. Without `files`, every file is assumed to exist."""
    if isinstance(files, ListedFiles):
        return ClassFiles(files, node_class)
    return AssumeFiles() if files is None else files


def accepts_unlisted_file(files: FileCheck | None, folder: str, name: str) -> bool:
    """Return whether a file input accepts a file that is not among its choices, because it exists nevertheless.

    Always False without `files`, and if the choices already include all files of the machine.
    """
    return files is not None and not isinstance(files, LocalFiles | ListedFiles) and files.exists(folder, name)


def _listed_files(classes: Iterable[NodeClass], folder: str) -> Iterable[str]:
    """Yield the choices of all inputs that list the files of a folder."""
    for node_class in classes:
        for spec in node_class.inputs:
            if folder in spec.folders:
                yield from (option for option in spec.options or () if isinstance(option, str))
