"""Which model files a prompt needs: by the choices of files that its nodes make, and who knows where they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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
"""Uploads, and choices of folders."""
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_MODEL = frozenset({"", "none", "None"})
OTHER_ENDINGS = (".gguf", ".onnx", ".task", ".tflite", ".engine", ".torchscript", ".npz", ".nemo")
"""Of model files, besides those that ComfyUI itself takes for one."""


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """A model file that nodes of a prompt name: `folders` are those that the input looks into, the first is written to.

    `listed`: the engine offers it. `source` is None where nobody here knows a download. `certain` is False where the
    prompt does not show whether a node loads it.
    """

    file: str
    folders: tuple[str, ...]
    nodes: tuple[str, ...]
    listed: bool
    source: ModelFile | None
    is_certain: bool = True

    @property
    def folder(self) -> str:
        """Where the file belongs."""
        return self.source.folder if self.source else self.folders[0]


Downloads = Mapping[tuple[str, str], ModelFile]
"""Known model files by (folder, file), each with its URL."""


def downloads_by_file(files: Iterable[ModelFile]) -> Downloads:
    """Of those that have a URL; the first that says where a file comes from is believed."""
    known: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        if file.url:
            known.setdefault((file.folder, file.file), file)
    return known


def needed_models(prompt: Prompt, catalog: Catalog, known: Downloads | None = None) -> tuple[ModelNeed, ...]:
    """The files that the outputs of a prompt need, each once, in the prompt's order.

    Only inputs whose folders are known list model files; `unseen_models` says what else may be one. Never raises.
    """
    places: dict[tuple[str, tuple[str, ...]], list[_Use]] = {}
    for use in (*_choices(prompt, catalog), *_loras(prompt, catalog)):
        places.setdefault((use.file, use.folders), []).append(use)
    return tuple(
        ModelNeed(
            file,
            folders,
            tuple(dict.fromkeys(use.node_id for use in uses)),
            any(use.listed for use in uses),
            _source(file, folders, known or {}),
            any(use.is_certain for use in uses),
        )
        for (file, folders), uses in places.items()
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """One node's name of a file."""

    node_id: str
    file: str
    folders: tuple[str, ...]
    listed: bool
    is_certain: bool = True


def saved_downloads(workflow: object) -> Iterator[ModelFile]:
    """What the editor saved of downloads in a workflow (`properties.models` of its nodes, in subgraphs too)."""
    workflow = unwrap(workflow)
    if not isinstance(workflow, dict):
        return
    definitions = workflow.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for graph in (workflow, *(subgraphs if isinstance(subgraphs, list) else ())):
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            yield from _saved_in(node)


def _saved_in(node: object) -> Iterator[ModelFile]:
    match node:
        case {"properties": {"models": list(models)}}:
            for model in models:
                match model:
                    case {"name": str(name), "url": str(url), "directory": str(folder)} if name and url and folder:
                        yield ModelFile(name, folder, url, sha256=_sha256(model))


def _sha256(model: Mapping[str, object]) -> str | None:
    known = model.get("hash")
    named = isinstance(known, str) and str(model.get("hash_type", "")).casefold() == "sha256"
    return known.lower() if named and isinstance(known, str) and SHA256.fullmatch(known.lower()) else None


def _choices(prompt: Prompt, catalog: Catalog) -> Iterator[_Use]:
    """Yield every choice of a model file that an output needs."""
    for node_id in running_nodes(prompt, catalog):
        node = prompt[node_id]
        for name, (folders, options) in _file_inputs(node, catalog).items():
            if NOT_FILES & set(folders):
                continue
            for value in _texts(node["inputs"].get(name)):
                if is_file(value, node["class_type"], name):
                    yield _Use(node_id, value, folders, value in options)


def _file_inputs(node: Node, catalog: Catalog) -> dict[str, tuple[tuple[str, ...], tuple[Json, ...]]]:
    """Return (folders, choices) of the inputs that offer files; of a class that the catalog lacks, as it is known."""
    if node["class_type"] not in catalog:
        return {name: (folders, ()) for name, folders in folders_by_input(node["class_type"]).items()}
    node_class = catalog[node["class_type"]]
    specs = (node_class.shown or expand(node_class, node["inputs"])).values()
    return {spec.name: (spec.folders, spec.options or ()) for spec in specs if spec.folders}


def _loras(prompt: Prompt, catalog: Catalog) -> Iterator[_Use]:
    for lora in named_loras(prompt, catalog):
        yield _Use(lora.node_id, lora.file, (LORAS,), lora.listed, lora.is_certain)


def is_file(value: str, class_type: str, name: str) -> bool:
    """Tell whether a choice of an input that offers files is one; packs offer others beside them (`Baked VAE`)."""
    if value in NO_MODEL or value in _fixed(class_type, name):
        return False
    return class_type in bundled_catalog() or names_model(value)


def names_model(value: str) -> bool:
    """Tell whether a text is the name of a model file, by its end."""
    return is_model(value) or value.lower().endswith(OTHER_ENDINGS)


def _texts(value: Json) -> list[str]:
    """Return the names in a value; pysssss's loaders wrap one with its picture."""
    match value:
        case str(name) | {"content": str(name)}:
            return [name]
        case {"__value__": list(items)}:
            return [item for item in items if isinstance(item, str)]
    return []


def _fixed(class_type: str, name: str) -> tuple[Json, ...]:
    """Choices that are there on every machine (`[None]`, `pixel_space`): in the bundled catalog, which has no files."""
    facts = bundled_catalog()
    spec = facts[class_type].by_name.get(name) if class_type in facts else None
    return (spec.options or ()) if spec else ()


def _source(file: str, folders: tuple[str, ...], known: Downloads) -> ModelFile | None:
    return next((known[folder, file] for folder in folders if (folder, file) in known), None)
