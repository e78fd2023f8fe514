"""Where a prompt names a model file that another job wrote, however its nodes take names of models."""

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
"""A LoRA inside of a text, as several packs read it. They take its name without the extension, too."""
MODEL_INPUT = re.compile(r"lora|model|ckpt|checkpoint|vae|clip|unet|encoder", re.IGNORECASE)
"""Names of inputs in which a pack may look for the nearest file to a name that is not listed."""


def saved_model_problems(prompt: Prompt, catalog: Catalog, saved: SavedModels) -> Iterator[Problem]:
    """Yield a problem for each input that names such a file, as if the file were not there."""
    if not saved:
        return
    for node_id, node in prompt.items():
        folders = _folders(node, catalog)
        for name, value in node["inputs"].items():
            known = folders.get(name, ())
            if UPLOADS in known or is_link(value):
                continue
            for text, folder in _references(name, value, known, saved):
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
    if node["class_type"] not in catalog:
        return {}
    node_class = catalog[node["class_type"]]
    return {spec.name: spec.folders for spec in (node_class.shown or expand(node_class, node["inputs"])).values()}


def _references(name: str, value: Json, folders: Collection[str], saved: SavedModels) -> Iterator[tuple[str, str]]:
    """(text, folder) of each name in a value; an input of which no folders are known may take a name in other forms."""
    match value:
        case str():
            found = saved.folder_of(resolved_path(value), folders)
            if found is None and not folders:
                found = _loose(name, value, saved)
            if found is not None:
                yield value[:255], found
        case list():
            for item in value:
                yield from _references(name, item, folders, saved)
        case dict():
            for key, item in value.items():
                yield from _references(f"{name}.{key}", item, folders, saved)


def _loose(name: str, text: str, saved: SavedModels) -> str | None:
    """Return the folder of a file that is named by a path, in a tag, or without its extension."""
    stems = {_stem(tag[1]) for tag in LORA.finditer(text)}
    place = resolved_path(text)
    if MODEL_INPUT.search(name) and (is_model(place) or not posixpath.splitext(place)[1]):
        stems.add(_stem(place))
    for folder, names in saved.by_folder.items():
        outside = [alias for alias, models in SAVED_INTO.items() if models == folder]
        for file in names:
            path = is_model(place) and f"/{place}".endswith(tuple(f"/{alias}/{file}" for alias in outside))
            if (path or _stem(file) in stems) and saved.folder_of(file) is not None:
                return folder
    return None


def _stem(name: str) -> str:
    """The last part of a name, without the extension of a model."""
    last = resolved_path(name).rpartition("/")[2]
    return posixpath.splitext(last)[0] if is_model(last) else last
