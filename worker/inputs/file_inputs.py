"""The files that a prompt names: in which inputs, by the catalog, and whether it may have them.

Besides its own files a workflow may name those in folders that the operator opened.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from worker.bodies import DATA_URI
from worker.errors import Detail, FileNotAllowed, InvalidInputFile, StartupError
from worker.inputs.names import file_name
from worker.inputs.signatures import looks_like_base64
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, is_link, title


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
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
JOB_FOLDER = re.compile(r"job-[0-9a-f]{32}", re.IGNORECASE)
OTHERWISE = "or write its URL there; an operator opens folders by WORKER_INPUT_FOLDERS"
CURE = f"send the file in `inputs`, {OTHERWISE}"
BASE64_CURE = "write a data URI (`data:image/png;base64,...`), or send the file in `inputs` under a name"
LONGEST = 80
"""Characters of a name that an error repeats."""
NOTHING = frozenset({"", "none", "None"})
"""What loaders take for no file at all."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """A node's input that names a file, as the prompt has it.

    `kind` is None for any. `uploads` is true where the files are those of requests, false for models. `path` is true
    where the node wants a path of the machine's, not a name in the input folder.
    """

    node_id: str
    class_type: str
    input: str
    value: Json
    kind: FileKind | None
    uploads: bool
    path: bool

    @property
    def label(self) -> str:
        return f"{self.input!r} of node {self.node_id} ({self.class_type})"

    @property
    def key(self) -> tuple[str, str]:
        return self.node_id, self.input


@dataclass(frozen=True, slots=True)
class OpenFolders:
    """`folders` begin with input, output or temp; `shared` is where the input folder is, if this process sees it."""

    folders: tuple[PurePosixPath, ...]
    shared: Path | None

    @classmethod
    def read(cls, text: str, shared: Path | None) -> OpenFolders:
        """From WORKER_INPUT_FOLDERS. Raises StartupError naming the entry."""
        entries = [entry.strip().rstrip("/") for entry in text.split(",") if entry.strip()]
        for entry in entries:
            if escapes(entry) or PurePosixPath(entry).parts[0] not in {"input", "output", "temp"}:
                raise StartupError(
                    f"WORKER_INPUT_FOLDERS: {entry!r} is not input, output, temp or a folder in one of them"
                )
        return cls(tuple(PurePosixPath(entry) for entry in entries), shared)

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

    def _here(self, place: PurePosixPath) -> Path:
        return (self.shared or Path()).joinpath(*place.parts[1:])


def file_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[FileInput]:
    """Every input that the catalog marks as a file; classes that it doesn't know have none."""
    for node_id, node in prompt.items():
        class_type, inputs = node["class_type"], node["inputs"]
        if class_type not in catalog:
            continue
        node_class = catalog[class_type]
        for spec in (node_class.shown or expand(node_class, inputs)).values():
            if spec.name in inputs and (spec.folders or _uploads(spec)):
                value, uploads, path = inputs[spec.name], _uploads(spec), PATHS in spec.config[1]
                yield FileInput(node_id, class_type, spec.name, value, _kind(spec), uploads, path)


def texts(value: Json) -> Iterator[str]:
    """Every text in a value, however it is wrapped (`{"__value__": [...]}`)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def escapes(name: str) -> bool:
    """True for what could mean a place outside of the folder that it is a name in, on any system."""
    path = name.replace("\\", "/")
    return path.startswith(("/", "~")) or ".." in path.split("/") or bool(DRIVE.match(path) or CONTROL.search(path))


def complaint(place: FileInput, value: str, opened: OpenFolders) -> str | None:
    """Return why a file name is refused that is not one of the job's own files; None where it may stay."""
    if value in NOTHING:
        return None
    if escapes(value):
        return "leads out of its folder"
    if place.uploads and (place.path or not opened.have(value)):
        return "is none of this request's files"
    return None


def foreign(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """Yield (node id, input) of each text with the folder of a job in it: no client knows its own, so it is another's.

    Data URIs are left out: they are no paths, and may be very long.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            if any(JOB_FOLDER.search(text) for text in texts(value) if not DATA_URI.match(text)):
                yield node_id, name


def check_names(prompt: Prompt, places: Sequence[FileInput], own: Container[str], opened: OpenFolders) -> None:
    """Raise FileNotAllowed with everything that a prompt names and may not have. `own` names the job's own files."""
    details = [
        _detail(prompt, place.node_id, place.input, f"{place.label} {problem}", cure)
        for place in places
        for problem, cure in _problems(place, own, opened)
    ]
    details += [
        _detail(prompt, node_id, name, f"{name!r} of node {node_id} names the folder of a job", CURE)
        for node_id, name in foreign(prompt)
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)


def _uploads(spec: InputSpec) -> bool:
    return "input" in spec.folders or PATHS in spec.config[1] or any(spec.config[1].get(mark) for mark in UPLOADS)


def _kind(spec: InputSpec) -> FileKind | None:
    return next((kind for mark, kind in UPLOADS.items() if spec.config[1].get(mark)), None)


def _problems(place: FileInput, own: Container[str], opened: OpenFolders) -> Iterator[tuple[str, str]]:
    if is_link(place.value):
        if place.uploads:
            yield "is linked, so that its file is known only when it runs", "write the file's name into the node itself"
        return
    for text in texts(place.value):
        if text in own:
            if place.path and opened.shared is None:
                yield "wants a path, and this worker reaches no folder of ComfyUI's", "use a node that takes uploads"
        elif place.uploads and looks_like_base64(text):
            yield f"has base64 of no kind of file that is known ({_short(text)!r})", BASE64_CURE
        elif problem := complaint(place, text, opened):
            yield f"names {_short(text)!r}, which {problem}", _cure(text)


def _cure(text: str) -> str:
    """What to do about a name, with the name to send the file by where it can be one."""
    try:
        name = file_name(text)
    except InvalidInputFile:
        return CURE
    return CURE if len(name) > LONGEST else f"send the file in `inputs` as {name!r}, {OTHERWISE}"


def _detail(prompt: Prompt, node_id: str, name: str, message: str, cure: str) -> Detail:
    return Detail(message, node_id, title(prompt, node_id), prompt[node_id]["class_type"], name, cure)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:77]}..."
