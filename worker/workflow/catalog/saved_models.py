"""Model files that jobs wrote. ComfyUI lists them like the operator's files, but other jobs may not see or use them."""

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
"""Subfolders of ComfyUI's output folder that it searches for models, with the model folder that each belongs to."""
EXTENSIONS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
"""Extensions of files that ComfyUI lists as models."""


def is_model(name: str) -> bool:
    """Return whether ComfyUI lists a file of this name as a model."""
    return posixpath.splitext(name)[1].lower() in EXTENSIONS


def resolved_path(name: str) -> str:
    """Return the normalized path of a name. ComfyUI opens the file `a` for `./a`, `/a` and `b/../a` too."""
    return posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/")


@dataclass(frozen=True, slots=True)
class SavedModels:
    """The model files that jobs wrote.

    `by_folder` has their names by model folder. `operator_files` are those (folder, name) pairs that the operator has
    a file for too.
    """

    by_folder: Mapping[str, frozenset[str]] = field(default_factory=dict)
    operator_files: frozenset[tuple[str, str]] = frozenset()

    def __bool__(self) -> bool:
        return any(self.by_folder.values())

    @property
    def names(self) -> frozenset[str]:
        """The names of all files, from every folder."""
        return frozenset().union(*self.by_folder.values())

    def folder_of(self, name: str, folders: Collection[str] = ()) -> str | None:
        """Return the model folder in which a job wrote a file of this name.

        Return None if no job wrote one, or if the operator has a file of this name too. `folders` are the folders that
        the input searches, empty if they are not known.
        """
        # Without known folders, all folders are searched.
        job_folders = [folder for folder in folders or self.by_folder if name in self.by_folder.get(folder, ())]
        searched = folders or {folder for folder, _ in self.operator_files}
        if not job_folders or any((folder, name) in self.operator_files for folder in searched):
            return None
        return job_folders[0]

    def merged_with(self, other: SavedModels) -> SavedModels:
        """Return the union with `other`."""
        if not self or not other:
            return self or other
        empty = frozenset[str]()
        folders = {**self.by_folder, **other.by_folder}
        merged = {folder: self.by_folder.get(folder, empty) | other.by_folder.get(folder, empty) for folder in folders}
        return SavedModels(merged, self.operator_files | other.operator_files)

    def without_names(self, choices: Json, folders: Collection[str] = ()) -> Json:
        """Return an input of `GET /object_info`, or a part of it, without the files that jobs wrote.

        `folders` are the model folders that the input searches, empty if they are not known.
        """
        match choices:
            case list():
                return [self.without_names(item, folders) for item in choices if not self._is_hidden(item, folders)]
            case dict():
                kept = {key: item for key, item in choices.items() if not self._is_hidden(item, folders)}
                return {key: self.without_names(item, folders) for key, item in kept.items()}
        return choices

    def _is_hidden(self, item: Json, folders: Collection[str]) -> bool:
        """Return whether a choice names a file of a job. Some packs write a choice as `{"content": name, ...}`."""
        if isinstance(item, dict):
            item = item.get("content")
        return isinstance(item, str) and self.folder_of(resolved_path(item), folders) is not None

    def class_without_names(self, info: JsonObject, folders: Mapping[str, Collection[str]]) -> JsonObject:
        """Return a class of `GET /object_info` without the files that jobs wrote.

        `folders` are the model folders of each input, by the name of the input.
        """
        inputs = info.get("input")
        if not isinstance(inputs, dict):
            return info
        return {
            **info,
            "input": {presence: self._section_without_names(inputs[presence], folders) for presence in inputs},
        }

    def _section_without_names(self, section: Json, folders: Mapping[str, Collection[str]]) -> Json:
        """Return a section of inputs (required, optional or hidden) without the files that jobs wrote."""
        if not isinstance(section, dict):
            return section
        return {name: self.without_names(definition, folders.get(name, ())) for name, definition in section.items()}

    def text_without_names(self, text: str) -> str:
        """Return a message of ComfyUI without the files of jobs in its lists of choices."""
        for name in self._hidden_names():
            for entry in (f", {name!r}", f"{name!r}, ", repr(name)):  # with the comma of the list, if there is one
                text = text.replace(entry, "")
        return text

    def response_without_names(self, response: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a decoded error response of ComfyUI without the files that jobs wrote, at any depth."""
        match response:
            case str():
                return self.text_without_names(response)
            case list():
                return [self.response_without_names(item) for item in response if not self._is_hidden(item, ())]
            case dict():
                return {key: self.response_without_names(item) for key, item in response.items()}
        return response

    def _hidden_names(self) -> Iterator[str]:
        """Yield the names to hide, the longest first, so that a name that contains another one is removed whole."""
        yield from (name for name in sorted(self.names, key=len, reverse=True) if self.folder_of(name) is not None)


NO_SAVED_MODELS = SavedModels()
