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
from worker.workflow.json_value import Json, JsonObject
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
        """Whether a text in this input refers to the job's file of that name, if there is one."""
        return self.use in {None, PathUse.LIKELY} or self.accepts_upload


def relative_to(root: Path | None, text: str) -> PurePosixPath | None:
    """Return the part of an absolute path below `root`. Return None if the path has `..` or is not inside `root`."""
    path = PurePosixPath(text)
    if root is None or not path.is_absolute():
        return None
    # `escapes` rejects a leading slash, so it gets the path without it.
    if escapes(str(path)[1:]) or not path.is_relative_to(root.absolute()):
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
        """Return True if a name in the form of loaders (`a/b.png`, `b.png [output]`) is in an open folder."""
        match = ANNOTATED.fullmatch(name)
        path = PurePosixPath(match["folder"] if match else "input", match["name"] if match else name)
        open_parents = [folder for folder in self.folders if path.is_relative_to(folder)]
        if not open_parents:
            return False
        if self.shared is None or path.parts[0] != "input":
            return True
        # A symbolic link in an open folder may lead out of it.
        resolved = self._absolute(path).resolve()
        return any(resolved.is_relative_to(self._absolute(folder).resolve()) for folder in open_parents)

    def contain_path(self, text: str) -> bool:
        """Return True for the path of a file or a folder in an open folder.

        The path of the input folder itself is never accepted, because that folder contains the files of other jobs.
        """
        in_input = relative_to(self.shared, text)
        if in_input is not None:
            return bool(in_input.parts) and self.contain_name(str(in_input))
        in_output = relative_to(self.output, text)
        return in_output is not None and self.contain_name(f"{in_output} [output]")

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
            use = uses.get(spec.name) or _likely_path(spec)
            if spec.name in inputs and (spec.folders or _has_upload_mark(spec) or use is not None):
                yield _file_input(node_id, class_type, spec, use, inputs[spec.name])


def _file_input(node_id: str, class_type: str, spec: InputSpec, use: PathUse | None, value: Json) -> FileInput:
    accepts_upload = use in READS or (use is None and _has_upload_mark(spec))
    needs_path = use is PathUse.READ or PATHS in _options(spec)
    names, kind = _file_names(spec, value), _file_kind(spec)
    return FileInput(node_id, class_type, spec.name, names, kind, accepts_upload, needs_path, use, spec.default)


def texts(value: Json) -> Iterator[str]:
    """Yield every text in a JSON value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def _file_names(spec: InputSpec, value: Json) -> Json:
    """Return the file names in the object that ComfyUI's 3D loaders accept. Return any other value unchanged."""
    if spec.type == "LOAD_3D" and isinstance(value, dict) and WRAPPED not in value:
        return [value[key] for key in LOAD_3D if key in value]
    return value


def _likely_path(spec: InputSpec) -> PathUse | None:
    """Return PathUse.LIKELY for a text input that is named like a path and lists no files, else None."""
    if spec.type != "STRING" or spec.folders or _has_upload_mark(spec):
        return None
    return PathUse.LIKELY if LIKE_A_PATH.search(spec.name) else None


def _has_upload_mark(spec: InputSpec) -> bool:
    """Return True if the class declares that an input accepts files of ComfyUI's input folder, or any path."""
    options = _options(spec)
    return "input" in spec.folders or PATHS in options or any(options.get(mark) for mark in UPLOADS)


def _file_kind(spec: InputSpec) -> FileKind | None:
    """Return the kind of file that an input accepts by its upload mark, or None for any kind."""
    options = _options(spec)
    return next((kind for mark, kind in UPLOADS.items() if options.get(mark)), None)


def _options(spec: InputSpec) -> JsonObject:
    """Return the options that the class declares for an input in `GET /object_info`."""
    return spec.config[1]
