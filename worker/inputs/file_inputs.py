"""Inputs of a prompt that name files or paths, found by the catalog and by a table of popular packs.

A workflow may name its own files, and files in folders that the operator opened (WORKER_INPUT_FOLDERS).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from worker.errors import StartupError
from worker.inputs.paths.path_text import escapes
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.catalog.path_inputs import LIKE_A_PATH, PathUse, path_inputs
from worker.workflow.json_value import Json
from worker.workflow.linked_values import WRAPPED
from worker.workflow.prompt import Prompt


class FileKind(StrEnum):
    """Kind of file that an input accepts."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


# Marks by which a class tells ComfyUI's editor that an input accepts uploads. Packs use the same marks.
UPLOADS = {
    "image_upload": FileKind.IMAGE,
    "animated_image_upload": FileKind.IMAGE,
    "video_upload": FileKind.VIDEO,
    "audio_upload": FileKind.AUDIO,
    "file_upload": None,
    "text_upload": None,
}
PATHS = "vhs_path_extensions"
"""VideoHelperSuite's mark of an input that accepts any path on ComfyUI's machine, or a URL that the node opens."""
ANNOTATED = re.compile(r"(?P<name>.*).\[(?P<folder>input|output|temp)\]", re.DOTALL)
"""A name with ComfyUI's folder, such as `a.png [output]`. ComfyUI drops one character before the bracket, whatever it
is."""
READS = frozenset({PathUse.READ, PathUse.INPUT})
LOAD_3D = ("image", "mask", "normal", "recording")
"""Keys of file names in the object that ComfyUI's 3D loaders accept."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """One input of a node in the prompt that names a file.

    - `value`: the value in the prompt. Of an object only the file names.
    - `kind`: the kind of file that the input accepts, or None for any kind.
    - `accepts_upload`: True if the input accepts files of requests, False for model files and for files that it writes.
    - `needs_path`: True if the node needs a path on its machine, False for a name in the input folder.
    - `use`: how a text input uses its path, as far as it is known.
    - `default`: the default value that the class declares.
    """

    node_id: str
    class_type: str
    input: str
    value: Json
    kind: FileKind | None
    accepts_upload: bool
    needs_path: bool
    use: PathUse | None = None
    default: Json = None

    @property
    def label(self) -> str:
        """Name of the input in messages."""
        return f"{self.input!r} of node {self.node_id} ({self.class_type})"

    @property
    def key(self) -> tuple[str, str]:
        """Node id and name of the input."""
        return self.node_id, self.input

    @property
    def follows_links(self) -> bool:
        """Whether a link into this input is replaced with its value, if the value is known before the prompt runs."""
        return self.accepts_upload or self.use is not None

    @property
    def needs_known_path(self) -> bool:
        """Whether a link is refused if its value is known only when the prompt runs.

        It is False for an input that only names a file to write.
        """
        return self.accepts_upload or self.use not in {None, PathUse.NAME, PathUse.LIKELY}

    @property
    def accepts_job_files(self) -> bool:
        """Whether the name of one of the job's files in this input means that file."""
        return self.use in {None, PathUse.LIKELY} or self.accepts_upload


def relative_to(root: Path | None, text: str) -> PurePosixPath | None:
    """Return an absolute path relative to `root`, or None if it has `..` or is not inside `root`."""
    path = PurePosixPath(text)
    if root is None or not path.is_absolute() or escapes(str(path)[1:]) or not path.is_relative_to(root.absolute()):
        return None
    return path.relative_to(root.absolute())


@dataclass(frozen=True, slots=True)
class OpenFolders:
    """Folders of ComfyUI that the operator opened to all requests.

    - `folders`: relative paths that begin with `input`, `output` or `temp`.
    - `shared`: ComfyUI's input folder, or None if this process cannot access it.
    - `output`: ComfyUI's output folder, if there is one engine and this process can access the folder.
    """

    folders: tuple[PurePosixPath, ...]
    shared: Path | None
    output: Path | None = None

    @classmethod
    def read(cls, text: str, shared: Path | None, output: Path | None = None) -> OpenFolders:
        """Return the folders that WORKER_INPUT_FOLDERS names. Raises StartupError for a bad entry."""
        entries = [entry.strip().rstrip("/") for entry in text.split(",") if entry.strip()]
        for entry in entries:
            if escapes(entry) or PurePosixPath(entry).parts[0] not in {"input", "output", "temp"}:
                raise StartupError(
                    f"WORKER_INPUT_FOLDERS: {entry!r} is not input, output, temp or a folder inside one of them"
                )
        return cls(tuple(PurePosixPath(entry) for entry in entries), shared, output)

    def contain_name(self, name: str) -> bool:
        """Return True for the name of a file in an open folder, as loaders write it (`a/b.png`, `b.png [output]`)."""
        match = ANNOTATED.fullmatch(name)
        path = PurePosixPath(match["folder"] if match else "input", match["name"] if match else name)
        opened = [folder for folder in self.folders if path.is_relative_to(folder)]
        if not opened or self.shared is None or path.parts[0] != "input":
            return bool(opened)
        # A symbolic link in an open folder may lead out of it.
        resolved = self._absolute(path).resolve()
        return any(resolved.is_relative_to(self._absolute(folder).resolve()) for folder in opened)

    def contain_path(self, text: str) -> bool:
        """Return True for the path of a file or a folder in an open folder.

        The path of the input folder itself is never accepted, because that folder contains the files of other jobs.
        """
        for root, suffix in ((self.shared, "input"), (self.output, "output")):
            if (inside := relative_to(root, text)) is not None:
                if root is self.shared and not inside.parts:
                    return False
                return self.contain_name(str(inside) if suffix == "input" else f"{inside} [{suffix}]")
        return False

    def allow_writing(self, text: str) -> bool:
        """Return True for a path in the output folder. Every job may write there."""
        return relative_to(self.output, text) is not None

    def _absolute(self, path: PurePosixPath) -> Path:
        """Return the path on this machine of a path that begins with `input`."""
        return (self.shared or Path()).joinpath(*path.parts[1:])


def file_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[FileInput]:
    """Yield every input that accepts a file or a path, by the catalog and by the table of popular packs.

    Nodes whose class is not in the catalog are skipped.
    """
    for node_id, node in prompt.items():
        class_type, inputs = node["class_type"], node["inputs"]
        if class_type not in catalog:
            continue
        node_class, uses = catalog[class_type], path_inputs().get(class_type, {})
        for spec in (node_class.static_inputs or expand(node_class, inputs)).values():
            if spec.name in inputs:
                use = uses.get(spec.name) or _likely(spec)
                if spec.folders or _uploads(spec) or use is not None:
                    uploads = use in READS or (use is None and _uploads(spec))
                    path = use is PathUse.READ or PATHS in spec.config[1]
                    value = _names(spec, inputs[spec.name])
                    yield FileInput(
                        node_id, class_type, spec.name, value, _kind(spec), uploads, path, use, spec.default
                    )


def texts(value: Json) -> Iterator[str]:
    """Yield every text in a JSON value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def _names(spec: InputSpec, value: Json) -> Json:
    """Return the file names in the object that ComfyUI's 3D loaders accept. Return any other value unchanged."""
    if spec.type == "LOAD_3D" and isinstance(value, dict) and WRAPPED not in value:
        return [value[key] for key in LOAD_3D if key in value]
    return value


def _likely(spec: InputSpec) -> PathUse | None:
    """Return PathUse.LIKELY for a text input that is in no table but is named like a path, else None."""
    marked = spec.folders or _uploads(spec)
    return PathUse.LIKELY if spec.type == "STRING" and LIKE_A_PATH.search(spec.name) and not marked else None


def _uploads(spec: InputSpec) -> bool:
    return "input" in spec.folders or PATHS in spec.config[1] or any(spec.config[1].get(mark) for mark in UPLOADS)


def _kind(spec: InputSpec) -> FileKind | None:
    return next((kind for mark, kind in UPLOADS.items() if spec.config[1].get(mark)), None)
