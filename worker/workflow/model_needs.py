"""Which model files a prompt needs: by the choices of files that its nodes make, and who knows where they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, ancestors, unwrap
from worker.workflow.templates.template import ModelFile

UPLOADS = "input"
NOT_FILES = frozenset({UPLOADS, "datasets", "diffusers"})
"""Uploads, and choices of folders."""
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_MODEL = frozenset({"", "none", "None"})


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """A model file that nodes of a prompt name: `folders` are those that the input looks into, the first is written to.

    `listed`: the engine offers it. `source` is None where nobody here knows a download.
    """

    file: str
    folders: tuple[str, ...]
    nodes: tuple[str, ...]
    listed: bool
    source: ModelFile | None

    @property
    def folder(self) -> str:
        """Where the file belongs."""
        return self.source.folder if self.source else self.folders[0]


Downloads = Mapping[tuple[str, str], ModelFile]
"""Known model files by (folder, file), each with its URL."""


def downloads(files: Iterable[ModelFile]) -> Downloads:
    """Of those that have a URL; the first that says where a file comes from is believed."""
    known: dict[tuple[str, str], ModelFile] = {}
    for file in files:
        if file.url:
            known.setdefault((file.folder, file.file), file)
    return known


def needed_models(prompt: Prompt, catalog: Catalog, known: Downloads | None = None) -> tuple[ModelNeed, ...]:
    """The files that the outputs of a prompt need, each once, in the prompt's order.

    Only inputs of classes that we know list model files; what nodes of unknown packs load is not seen. Never raises.
    """
    places: dict[tuple[str, tuple[str, ...]], dict[str, bool]] = {}
    for node_id, spec, value in _choices(prompt, catalog):
        places.setdefault((value, spec.folders), {})[node_id] = value in (spec.options or ())
    return tuple(
        ModelNeed(file, folders, tuple(listed), any(listed.values()), _source(file, folders, known or {}))
        for (file, folders), listed in places.items()
    )


def saved_models(workflow: object) -> Iterator[ModelFile]:
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


def _choices(prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, InputSpec, str]]:
    """(node id, input, file name) of every choice of a model file that an output needs."""
    for node_id in _running(prompt, catalog):
        node = prompt[node_id]
        node_class = catalog[node["class_type"]]
        for name, spec in (node_class.shown or expand(node_class, node["inputs"])).items():
            if not spec.folders or NOT_FILES & set(spec.folders):
                continue
            for value in _texts(node["inputs"].get(name)):
                if value not in NO_MODEL and value not in _fixed(node_class.name, name):
                    yield node_id, spec, value


def _running(prompt: Prompt, catalog: Catalog) -> list[str]:
    """What the outputs need; everything where there is no output."""
    known = [node_id for node_id, node in prompt.items() if node["class_type"] in catalog]
    outputs = {node_id for node_id in known if catalog[prompt[node_id]["class_type"]].output_node}
    needed = outputs.union(*(ancestors(prompt, output) for output in outputs))
    return [node_id for node_id in known if not needed or node_id in needed]


def _texts(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
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
