"""Where a prompt names files: what the catalog says of each node's inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
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


def _uploads(spec: InputSpec) -> bool:
    return "input" in spec.folders or PATHS in spec.config[1] or any(spec.config[1].get(mark) for mark in UPLOADS)


def _kind(spec: InputSpec) -> FileKind | None:
    return next((kind for mark, kind in UPLOADS.items() if spec.config[1].get(mark)), None)
