"""Model files that jobs wrote: ComfyUI lists them beside the operator's, and no other job may know or use them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.workflow.json_value import Json, JsonObject

SAVED_INTO: Mapping[str, str] = {
    "checkpoints": "checkpoints",
    "clip": "text_encoders",
    "diffusion_models": "diffusion_models",
    "loras": "loras",
    "vae": "vae",
}
"""Folders of ComfyUI's output folder that it searches for models, and the folder of models that each adds to."""
EXTENSIONS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
"""Of what ComfyUI takes for a model file."""


def is_model(name: str) -> bool:
    """Tell whether ComfyUI takes a file for a model, by its name."""
    return posixpath.splitext(name)[1].lower() in EXTENSIONS


def resolved_path(name: str) -> str:
    """Return the place that a name stands for: ComfyUI takes `./a`, `/a` and `b/../a` for `a`."""
    return posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/")


@dataclass(frozen=True, slots=True)
class SavedModels:
    """`by_folder` has the names of the files that jobs wrote, by folder of models.

    `others` are those of these names that the operator has a file of, too, with its folder.
    """

    by_folder: Mapping[str, frozenset[str]] = field(default_factory=dict)
    others: frozenset[tuple[str, str]] = frozenset()

    def __bool__(self) -> bool:
        return any(self.by_folder.values())

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*self.by_folder.values())

    def folder_of(self, name: str, folders: Collection[str] = ()) -> str | None:
        """Return the folder in which a job's file has this name; None where there is none, or the operator's too.

        `folders` are those that an input looks into, none for an input of which that is not known.
        """
        places = [folder for folder in folders or self.by_folder if name in self.by_folder.get(folder, ())]
        if not places or any((folder, name) in self.others for folder in folders or {one for one, _ in self.others}):
            return None
        return places[0]

    def merged_with(self, other: SavedModels) -> SavedModels:
        """Return what either of two knows."""
        if not self or not other:
            return self or other
        folders = {**self.by_folder, **other.by_folder}
        both = {one: self.by_folder.get(one, frozenset()) | other.by_folder.get(one, frozenset()) for one in folders}
        return SavedModels(both, self.others | other.others)

    def without_names(self, choices: Json, folders: Collection[str] = ()) -> Json:
        """Return the written form of an input, or a part of it, without the choices and defaults that name one."""
        match choices:
            case list():
                return [self.without_names(item, folders) for item in choices if not self._names(item, folders)]
            case dict():
                kept = {key: item for key, item in choices.items() if not self._names(item, folders)}
                return {key: self.without_names(item, folders) for key, item in kept.items()}
        return choices

    def _names(self, item: Json, folders: Collection[str]) -> bool:
        """True for a name, and for an object that a pack writes in its place (`{"content": name, "image": ...}`)."""
        if isinstance(item, dict):
            item = item.get("content")
        return isinstance(item, str) and self.folder_of(resolved_path(item), folders) is not None

    def class_without_names(self, info: JsonObject, folders: Mapping[str, Collection[str]]) -> JsonObject:
        """Return a class of `GET /object_info` without them; `folders` by the name of its input."""
        inputs = info.get("input")
        if not isinstance(inputs, dict):
            return info
        return {**info, "input": {presence: self._section(inputs[presence], folders) for presence in inputs}}

    def _section(self, section: Json, folders: Mapping[str, Collection[str]]) -> Json:
        if not isinstance(section, dict):
            return section
        return {name: self.without_names(written, folders.get(name, ())) for name, written in section.items()}

    def text_without_names(self, text: str) -> str:
        """Return a sentence of ComfyUI's without the names in its lists of choices."""
        for name in self._written():
            for listed in (f", {name!r}", f"{name!r}, ", repr(name)):
                text = text.replace(listed, "")
        return text

    def response_without_names(self, answer: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a refusal of ComfyUI's without them."""
        match answer:
            case str():
                return self.text_without_names(answer)
            case list():
                return [self.response_without_names(item) for item in answer if not self._names(item, ())]
            case dict():
                return {key: self.response_without_names(item) for key, item in answer.items()}
        return answer

    def _written(self) -> Iterator[str]:
        yield from (name for name in sorted(self.names, key=len, reverse=True) if self.folder_of(name) is not None)


NO_SAVED_MODELS = SavedModels()
