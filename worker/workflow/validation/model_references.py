"""Finds inputs of a prompt that name a model file which another job wrote, in any form that nodes accept."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.saved_models import SAVED_INTO, SavedModels, is_model, resolved_path
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, is_link, title
from worker.workflow.validation.explain import Problem

UPLOADS = "input"
LORA = re.compile(r"<lora:([^:<>]{1,255})")
"""A LoRA tag in a text, as several packs read it. The name may have no extension."""
MODEL_INPUT = re.compile(r"lora|model|ckpt|checkpoint|vae|clip|unet|encoder", re.IGNORECASE)
"""Names of inputs for which a pack may load the nearest file if the name is not listed."""


def saved_model_problems(prompt: Prompt, catalog: Catalog, saved: SavedModels) -> Iterator[Problem]:
    """Yield a problem for each input that names a model file which another job wrote.

    The problem says that the file does not exist, because a job may not learn about the files of others. `saved` are
    the files of other jobs.
    """
    if not saved:
        return
    for node_id, node in prompt.items():
        folders = _folders(node, catalog)
        for name, value in node["inputs"].items():
            input_folders = folders.get(name, ())
            if UPLOADS in input_folders or is_link(value):  # neither names a model
                continue
            for text, folder in _references(name, value, input_folders, saved):
                yield Problem(
                    node_id=node_id,
                    node_title=title(prompt, node_id),
                    class_type=node["class_type"],
                    input=name,
                    message=f"models/{folder} has no file {text!r}.",
                    suggestion=None,
                    comfyui_type=None,
                    expected=f"a file in models/{folder}",
                    kind="value_not_in_list",
                )


def _folders(node: Node, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Return the model folders of each input of a node by name, or an empty dict if its class is not known."""
    if node["class_type"] not in catalog:
        return {}
    node_class = catalog[node["class_type"]]
    return {
        spec.name: spec.folders for spec in (node_class.static_inputs or expand(node_class, node["inputs"])).values()
    }


def _references(name: str, value: Json, folders: Collection[str], saved: SavedModels) -> Iterator[tuple[str, str]]:
    """Yield (text, model folder) for each name of a saved model at any depth of the value of the input `name`.

    `folders` are the model folders that the input searches. An input whose folders are not known may accept other forms
    of a name too.
    """
    match value:
        case str():
            folder = saved.folder_of(resolved_path(value), folders)
            if folder is None and not folders:
                folder = _loose_folder(name, value, saved)
            if folder is not None:
                yield value[:255], folder
        case list():
            for item in value:
                yield from _references(name, item, folders, saved)
        case dict():
            for key, item in value.items():
                yield from _references(f"{name}.{key}", item, folders, saved)


def _loose_folder(name: str, text: str, saved: SavedModels) -> str | None:
    """Return the folder of a saved model that a text names by a path, in a tag, or without its extension, or None."""
    stems = {_model_stem(tag[1]) for tag in LORA.finditer(text)}
    path = resolved_path(text)
    has_extension = posixpath.splitext(path)[1] != ""
    if MODEL_INPUT.search(name) and (is_model(path) or not has_extension):
        stems.add(_model_stem(path))
    for folder, names in saved.by_folder.items():
        # Subfolders of ComfyUI's output folder in which it looks for models of this kind.
        output_folders = [output_folder for output_folder, models in SAVED_INTO.items() if models == folder]
        for file in names:
            endings = tuple(f"/{output_folder}/{file}" for output_folder in output_folders)
            is_path = is_model(path) and f"/{path}".endswith(endings)
            if (is_path or _model_stem(file) in stems) and saved.folder_of(file) is not None:
                return folder
    return None


def _model_stem(name: str) -> str:
    """Return the last part of a name, without the extension of a model."""
    base_name = resolved_path(name).rpartition("/")[2]
    return posixpath.splitext(base_name)[0] if is_model(base_name) else base_name
