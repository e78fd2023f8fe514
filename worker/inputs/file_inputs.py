"""The files and paths that a prompt names: in which inputs, by the catalog and by what is known of packs.

Besides its own files a workflow may name those in folders that the operator opened.
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
    """What an input says it takes."""

    PICTURE = "picture"
    VIDEO = "video"
    SOUND = "sound"


# How a class tells ComfyUI's editor that an input takes uploads; the packs use them too.
UPLOADS = {
    "image_upload": FileKind.PICTURE,
    "animated_image_upload": FileKind.PICTURE,
    "video_upload": FileKind.VIDEO,
    "audio_upload": FileKind.SOUND,
    "file_upload": None,
    "text_upload": None,
}
PATHS = "vhs_path_extensions"
"""VideoHelperSuite's mark of a path anywhere on ComfyUI's machine, or of a URL that the node itself would open."""
ANNOTATED = re.compile(r"(?P<name>.*).\[(?P<folder>input|output|temp)\]", re.DOTALL)
"""ComfyUI's way to say which folder: it takes one character before the bracket for a blank, whatever it is."""
READS = frozenset({PathUse.READ, PathUse.INPUT})
LOAD_3D = ("image", "mask", "normal", "recording")
"""What is a name of a file in the object that ComfyUI's 3D loaders take."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """A node's input that names a file, as the prompt has it.

    `value` has what is a name in it, where it is an object. `kind` is None for any. `uploads` is true where the files
    are those of requests, false for models and for what is written. `path` is true where the node wants a path of the
    machine's, not a name in the input folder. `use` is what is known of an input that takes a path as a text, and
    `default` what its class gives it.
    """

    node_id: str
    class_type: str
    input: str
    value: Json
    kind: FileKind | None
    uploads: bool
    path: bool
    use: PathUse | None = None
    default: Json = None

    @property
    def label(self) -> str:
        return f"{self.input!r} of node {self.node_id} ({self.class_type})"

    @property
    def key(self) -> tuple[str, str]:
        return self.node_id, self.input

    @property
    def follows_links(self) -> bool:
        """Whether the value of a link takes its place, where that is known before the prompt runs."""
        return self.uploads or self.use is not None

    @property
    def needs_known_path(self) -> bool:
        """Whether a link is refused whose value only the run shows. What only names a written file may be any text."""
        return self.uploads or self.use not in {None, PathUse.NAME, PathUse.LIKELY}

    @property
    def takes_files(self) -> bool:
        """Whether the name of one of the job's files means that file here."""
        return self.use in {None, PathUse.LIKELY} or self.uploads


def below(root: Path | None, text: str) -> PurePosixPath | None:
    """Return an absolute path without `..` as one in a folder; None where it is not in there."""
    path = PurePosixPath(text)
    if root is None or not path.is_absolute() or escapes(str(path)[1:]) or not path.is_relative_to(root.absolute()):
        return None
    return path.relative_to(root.absolute())


@dataclass(frozen=True, slots=True)
class OpenFolders:
    """`folders` begin with input, output or temp; `shared` is where the input folder is, if this process sees it.

    `output` is the output folder, where there is one engine and this process sees it.
    """

    folders: tuple[PurePosixPath, ...]
    shared: Path | None
    output: Path | None = None

    @classmethod
    def read(cls, text: str, shared: Path | None, output: Path | None = None) -> OpenFolders:
        """From WORKER_INPUT_FOLDERS. Raises StartupError naming the entry."""
        entries = [entry.strip().rstrip("/") for entry in text.split(",") if entry.strip()]
        for entry in entries:
            if escapes(entry) or PurePosixPath(entry).parts[0] not in {"input", "output", "temp"}:
                raise StartupError(
                    f"WORKER_INPUT_FOLDERS: {entry!r} is not input, output, temp or a folder in one of them"
                )
        return cls(tuple(PurePosixPath(entry) for entry in entries), shared, output)

    def have(self, value: str) -> bool:
        """True for the name of a file in an open folder, as loaders write it (`a/b.png`, `b.png [output]`)."""
        match = ANNOTATED.fullmatch(value)
        place = PurePosixPath(match["folder"] if match else "input", match["name"] if match else value)
        opened = [folder for folder in self.folders if place.is_relative_to(folder)]
        if not opened or self.shared is None or place.parts[0] != "input":
            return bool(opened)
        # A link in an open folder may lead out of it.
        found = self._here(place).resolve()
        return any(found.is_relative_to(self._here(folder).resolve()) for folder in opened)

    def have_path(self, text: str) -> bool:
        """True for the path of a file or a folder in an open folder.

        The input folder itself is never one: a node that reads a folder with all below it gets the files of other jobs.
        """
        for root, suffix in ((self.shared, "input"), (self.output, "output")):
            if (inside := below(root, text)) is not None:
                if root is self.shared and not inside.parts:
                    return False
                return self.have(str(inside) if suffix == "input" else f"{inside} [{suffix}]")
        return False

    def takes_written(self, text: str) -> bool:
        """True for a path in the output folder, in which every job may write."""
        return below(self.output, text) is not None

    def _here(self, place: PurePosixPath) -> Path:
        return (self.shared or Path()).joinpath(*place.parts[1:])


def file_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[FileInput]:
    """Every input that takes a file or a path, by the catalog and by what is known of classes of popular packs.

    Classes that the catalog doesn't have have none.
    """
    for node_id, node in prompt.items():
        class_type, inputs = node["class_type"], node["inputs"]
        if class_type not in catalog:
            continue
        node_class, uses = catalog[class_type], path_inputs().get(class_type, {})
        for spec in (node_class.shown or expand(node_class, inputs)).values():
            if spec.name in inputs:
                use = uses.get(spec.name) or _likely(spec)
                if spec.folders or _uploads(spec) or use is not None:
                    uploads = use in READS or (use is None and _uploads(spec))
                    path = use is PathUse.READ or PATHS in spec.config[1]
                    where = node_id, class_type, spec.name
                    value = _names(spec, inputs[spec.name])
                    yield FileInput(*where, value, _kind(spec), uploads, path, use, spec.default)


def texts(value: Json) -> Iterator[str]:
    """Every text in a value, however it is wrapped (`{"__value__": [...]}`)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def _names(spec: InputSpec, value: Json) -> Json:
    """Return the names of files in the object that ComfyUI's 3D loaders take; any other value as it is."""
    if spec.type == "LOAD_3D" and isinstance(value, dict) and WRAPPED not in value:
        return [value[key] for key in LOAD_3D if key in value]
    return value


def _likely(spec: InputSpec) -> PathUse | None:
    """Return the use of an input of which nothing is known but that its name is one of a path."""
    marked = spec.folders or _uploads(spec)
    return PathUse.LIKELY if spec.type == "STRING" and LIKE_A_PATH.search(spec.name) and not marked else None


def _uploads(spec: InputSpec) -> bool:
    return "input" in spec.folders or PATHS in spec.config[1] or any(spec.config[1].get(mark) for mark in UPLOADS)


def _kind(spec: InputSpec) -> FileKind | None:
    return next((kind for mark, kind in UPLOADS.items() if spec.config[1].get(mark)), None)
