"""Model files that a prompt needs, according to the file inputs of its nodes, and where to download them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.folders import folders_by_input
from worker.workflow.catalog.saved_models import is_model
from worker.workflow.json_value import Json
from worker.workflow.loras import LORAS, named_loras
from worker.workflow.prompt import Node, Prompt, unwrap
from worker.workflow.running_nodes import running_nodes
from worker.workflow.templates.template import ModelFile

UPLOADS = "input"
NOT_FILES = frozenset({UPLOADS, "datasets", "diffusers"})
"""Folders whose inputs do not name a model file: uploads, and inputs that choose a folder."""
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_MODEL = frozenset({"", "none", "None"})
OTHER_ENDINGS = (".gguf", ".onnx", ".task", ".tflite", ".engine", ".torchscript", ".npz", ".nemo")
"""Extensions of model files that node packs load, in addition to those of ComfyUI."""


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """A model file that nodes of a prompt name.

    `folders` are the model folders that the input searches; a download goes into the first one. `listed` is True if
    the engine lists the file. `source` is None if no download is known. `is_certain` is False if the prompt does not
    show whether a node loads the file.
    """

    file: str
    folders: tuple[str, ...]
    nodes: tuple[str, ...]
    listed: bool
    source: ModelFile | None
    is_certain: bool = True

    @property
    def folder(self) -> str:
        """The model folder that the file belongs into."""
        return self.source.folder if self.source else self.folders[0]


Downloads = Mapping[tuple[str, str], ModelFile]
"""Known model files by (folder, file), each with its URL."""


def downloads_by_file(files: Iterable[ModelFile]) -> Downloads:
    """Return the files that have a URL by (folder, file). The first entry for a file wins."""
    downloads: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        if file.url:
            downloads.setdefault((file.folder, file.file), file)
    return downloads


def needed_models(prompt: Prompt, catalog: Catalog, known_downloads: Downloads | None = None) -> tuple[ModelNeed, ...]:
    """Return the model files that the outputs of a prompt need, each once: those of file inputs, then other LoRAs.

    Only inputs whose model folder is known count. `unseen_models` reports other inputs that may name a model. The
    `source` of a file is its entry in `known_downloads`. Never raises.
    """
    uses_by_file: dict[tuple[str, tuple[str, ...]], list[_Use]] = {}
    for use in (*_uses_in_file_inputs(prompt, catalog), *_uses_of_loras(prompt, catalog)):
        uses_by_file.setdefault((use.file, use.folders), []).append(use)
    return tuple(
        ModelNeed(
            file=file,
            folders=folders,
            nodes=tuple(dict.fromkeys(use.node_id for use in uses)),
            listed=any(use.listed for use in uses),
            source=_known_download(file, folders, known_downloads or {}),
            is_certain=any(use.is_certain for use in uses),
        )
        for (file, folders), uses in uses_by_file.items()
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """A node that names a model file, with the fields of `ModelNeed`."""

    node_id: str
    file: str
    folders: tuple[str, ...]
    listed: bool
    is_certain: bool = True


def saved_downloads(workflow: object) -> Iterator[ModelFile]:
    """Yield the downloads that the editor saved in a workflow: `properties.models` of its nodes, also in subgraphs."""
    workflow = unwrap(workflow)
    if not isinstance(workflow, dict):
        return
    definitions = workflow.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    graphs = [workflow, *subgraphs] if isinstance(subgraphs, list) else [workflow]
    for graph in graphs:
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            yield from _downloads_of_node(node)


def _downloads_of_node(node: object) -> Iterator[ModelFile]:
    """Yield the downloads that the editor saved in one node. Incomplete entries are skipped."""
    match node:
        case {"properties": {"models": list(models)}}:
            for model in models:
                match model:
                    case {"name": str(name), "url": str(url), "directory": str(folder)} if name and url and folder:
                        yield ModelFile(name, folder, url, sha256=_sha256(model))


def _sha256(model: Mapping[str, object]) -> str | None:
    """Return the SHA-256 of a saved download as 64 lower-case hex digits, or None if it has no valid one."""
    digest, kind = model.get("hash"), str(model.get("hash_type", ""))
    if not isinstance(digest, str) or kind.casefold() != "sha256" or not SHA256.fullmatch(digest.lower()):
        return None
    return digest.lower()


def _uses_in_file_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[_Use]:
    """Yield the model files that the file inputs of running nodes choose."""
    for node_id in running_nodes(prompt, catalog):
        node = prompt[node_id]
        for name, file_input in _file_inputs(node, catalog).items():
            if NOT_FILES & set(file_input.folders):
                continue
            for value in _file_names(node["inputs"].get(name)):
                if is_file(value, node["class_type"], name):
                    yield _Use(node_id, value, file_input.folders, listed=value in file_input.choices)


class _FileChoices(NamedTuple):
    """The model folders and the choices of an input that lists files."""

    folders: tuple[str, ...]
    choices: tuple[Json, ...]


def _file_inputs(node: Node, catalog: Catalog) -> dict[str, _FileChoices]:
    """Return the inputs of a node that list files, by name.

    For a class that is not in the catalog, the folders come from the tables in `catalog.folders`, without choices.
    """
    if node["class_type"] not in catalog:
        return {name: _FileChoices(folders, ()) for name, folders in folders_by_input(node["class_type"]).items()}
    node_class = catalog[node["class_type"]]
    specs = (node_class.static_inputs or expand(node_class, node["inputs"])).values()
    return {spec.name: _FileChoices(spec.folders, spec.options or ()) for spec in specs if spec.folders}


def _uses_of_loras(prompt: Prompt, catalog: Catalog) -> Iterator[_Use]:
    """Yield the LoRA files that running nodes name inside of values."""
    for lora in named_loras(prompt, catalog):
        yield _Use(lora.node_id, lora.file, (LORAS,), lora.listed, lora.is_certain)


def is_file(value: str, class_type: str, name: str) -> bool:
    """Return whether a value of the file input `name` is a file. Some packs list other choices too (`Baked VAE`)."""
    if value in NO_MODEL or value in _fixed_choices(class_type, name):
        return False
    # The fixed choices of a class that is not in the bundled catalog are not known: the extension decides.
    return class_type in bundled_catalog() or names_model(value)


def names_model(value: str) -> bool:
    """Return whether a text is the name of a model file, judged by its extension."""
    return is_model(value) or value.lower().endswith(OTHER_ENDINGS)


def _file_names(value: Json) -> list[str]:
    """Return the file names in a value: the value itself, or the names in an object that wraps it.

    The loaders of pysssss send `{"content": name, "image": preview}`. `{"__value__": [...]}` wraps a list of names.
    """
    match value:
        case str(name) | {"content": str(name)}:
            return [name]
        case {"__value__": list(items)}:
            return [item for item in items if isinstance(item, str)]
    return []


def _fixed_choices(class_type: str, name: str) -> tuple[Json, ...]:
    """Return the choices of an input that exist on every machine (`[None]`, `pixel_space`).

    These are its choices in the bundled catalog, which contains no files. Empty if the catalog does not have the class.
    """
    bundled = bundled_catalog()
    spec = bundled[class_type].by_name.get(name) if class_type in bundled else None
    return (spec.options or ()) if spec else ()


def _known_download(file: str, folders: tuple[str, ...], downloads: Downloads) -> ModelFile | None:
    """Return the known download of a file for the first of its folders that has one, or None."""
    return next((downloads[folder, file] for folder in folders if (folder, file) in downloads), None)
