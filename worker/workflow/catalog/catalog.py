"""The node classes that an engine offers: what `GET /object_info` says, typed and read on demand."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

import orjson

from worker.workflow.catalog.folders import folders_by_input
from worker.workflow.catalog.job_folders import class_without_job_folders
from worker.workflow.catalog.node_class import NodeClass, Presence, read_node_class
from worker.workflow.catalog.saved_models import NO_SAVED_MODELS, SavedModels
from worker.workflow.json_value import Json, JsonObject

BUNDLED = "catalog.jsonl.gz"
MADE_FROM = "made-from.json"
"""Beside the bundled catalog: the commits that its classes come from, as comfyui_nodes.txt pins them, and its hash."""

# What every class of GET /object_info has, and the reduced catalog leaves out where it is this.
_DEFAULTS: JsonObject = {
    "display_name": None,
    "category": "",
    "description": "",
    "search_aliases": [],
    "output": [],
    "output_name": [],
    "output_is_list": [],
    "is_input_list": False,
    "has_intermediate_output": False,
    "output_node": False,
}
# What classes written in the newer way have on top.
_DEFAULTS_V3: JsonObject = {
    "deprecated": False,
    "experimental": False,
    "dev_only": False,
    "essentials_category": None,
    "output_matchtypes": None,
    "price_badge": None,
    "search_aliases": None,
}


class Catalog(Mapping[str, NodeClass]):
    """Node classes by name; a class is parsed when it is first asked for.

    `written` holds each class as an object, or as its JSON text. `files` are names by folder that choices of files
    list besides what the class itself says.
    """

    def __init__(
        self,
        written: Mapping[str, JsonObject | bytes],
        files: Mapping[str, Sequence[str]],
        saved: SavedModels = NO_SAVED_MODELS,
        *,
        hides_job_folders: bool = False,
    ) -> None:
        self.hides_job_folders = hides_job_folders
        """Whether no choice lists the folder of a job. Choices that listed one are inputs of files."""
        self.saved = saved
        """Model files that jobs wrote: the choices do not list them."""
        self._written = dict(written)
        self._files = dict(files)
        self._parsed: dict[str, NodeClass] = {}
        self._made: frozenset[str] | None = None
        self._listing: dict[str, frozenset[str]] = {}
        """Inputs that an earlier form of a class was seen to list the folder of a job in."""

    @classmethod
    def bundled(cls) -> Catalog:
        """The catalog of the image with all its node packs, reduced to facts, that ships with the worker.

        Choices of files are empty in it but for their fixed options (`[None]`, `.use_ckpt_vae`): see `with_files`.
        """
        return cls.from_packed(resources.files("worker.workflow.catalog").joinpath("data", BUNDLED).read_bytes())

    @classmethod
    def from_packed(cls, packed: bytes) -> Catalog:
        """Read what `worker.workflow.catalog.reduce` wrote."""
        lines = gzip.decompress(packed).splitlines()
        rows = (line.partition(b"\t") for line in lines)
        return cls({name.decode(): text for name, _, text in rows}, {})

    @classmethod
    def from_object_info(cls, object_info: Mapping[str, object]) -> Catalog:
        """Read the decoded answer of `GET /object_info`; entries that are not objects are left out."""
        return cls({name: info for name, info in object_info.items() if isinstance(info, dict)}, {})

    def classes_with_hidden_input(self, names: Iterable[str], hidden: str) -> Iterator[NodeClass]:
        """Yield the classes of these names that the server gives what a hidden input of this type stands for."""
        for node_class in (self[name] for name in set(names) if name in self):
            if any(spec.type == hidden and spec.presence is Presence.HIDDEN for spec in node_class.inputs):
                yield node_class

    def with_files(self, files: Mapping[str, Sequence[str]]) -> Catalog:
        """Return a catalog in which choices of files list these names by folder, before their fixed options."""
        return Catalog(self._written, files, self.saved, hides_job_folders=self.hides_job_folders)

    def without_saved_models(self, saved: SavedModels) -> Catalog:
        """Return a catalog in which no choice lists these files, whatever the engine says."""
        if saved == self.saved:
            return self
        return Catalog(self._written, self._files, saved, hides_job_folders=self.hides_job_folders)

    def without_job_folders(self) -> Catalog:
        """Return a catalog in which no choice lists the folder of a job, as it is for clients."""
        return (
            self if self.hides_job_folders else Catalog(self._written, self._files, self.saved, hides_job_folders=True)
        )

    def with_classes(self, changed: Mapping[str, JsonObject | None]) -> Catalog:
        """Return a catalog in which these classes are as given, or gone where that is None."""
        written = {name: info for name, info in self._written.items() if name not in changed}
        written |= {name: info for name, info in changed.items() if info is not None}
        other = Catalog(written, self._files, self.saved, hides_job_folders=self.hides_job_folders)
        if self.hides_job_folders:
            other._listing = {name: self._listing_of(name) for name in changed if name in self._written}
        other._parsed.update((name, parsed) for name, parsed in self._parsed.items() if name not in changed)
        return other

    def object_info(self, name: str) -> JsonObject:
        """Return one class in the shape that `GET /object_info/{name}` has inside. Raises KeyError."""
        info = self._info(name)
        return class_without_job_folders(info)[0] if self.hides_job_folders else info

    def _info(self, name: str) -> JsonObject:
        written = self._written[name]
        info: JsonObject = orjson.loads(written) if isinstance(written, bytes) else written
        defaults = {**_DEFAULTS, **_DEFAULTS_V3} if "api_node" in info else _DEFAULTS
        info = {**defaults, **info, "name": name}
        if "input_order" not in info and isinstance(info.get("input"), dict):
            info["input_order"] = _order(info["input"])
        info = self._list_files(name, info) if self._files else info
        return self.saved.class_without_names(info, folders_by_input(name)) if self.saved else info

    def output_types(self) -> frozenset[str]:
        """Return the types that any class makes, so that an input of such a type can be linked."""
        if self._made is None:
            outputs = (_outputs(written) for written in self._written.values())
            self._made = frozenset(kind for listed in outputs for kind in listed if isinstance(kind, str))
        return self._made

    def to_object_info(self) -> dict[str, JsonObject]:
        """Return all classes in the shape of `GET /object_info`."""
        return {name: self.object_info(name) for name in self._written}

    def __getitem__(self, name: str) -> NodeClass:
        if name not in self._parsed:
            listing = self._listing_of(name) if self.hides_job_folders else ()
            self._parsed[name] = read_node_class(name, self.object_info(name), listing)
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._written

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)

    def _listing_of(self, name: str) -> frozenset[str]:
        return class_without_job_folders(self._info(name))[1] | self._listing.get(name, frozenset())

    def _list_files(self, name: str, info: JsonObject) -> JsonObject:
        for spec in read_node_class(name, info).inputs:
            present = [file for folder in spec.folders for file in self._files.get(folder, ())]
            if present:
                choices: list[Json] = list(dict.fromkeys([*present, *(spec.options or ())]))
                info = _with_choices(info, spec.presence.value, spec.name, choices)
        return info


@cache
def bundled_catalog() -> Catalog:
    """`Catalog.bundled()`, unpacked once; for whoever has no engine to ask."""
    return Catalog.bundled()


def _outputs(written: JsonObject | bytes) -> list[Json]:
    info = orjson.loads(written) if isinstance(written, bytes) else written
    outputs = info.get("output")
    return outputs if isinstance(outputs, list) else []


def _order(inputs: Json) -> JsonObject:
    if not isinstance(inputs, dict):
        return {}
    return {presence: list(section) for presence, section in inputs.items() if isinstance(section, dict)}


def _with_choices(info: JsonObject, presence: str, name: str, choices: list[Json]) -> JsonObject:
    """Copy what leads to one input, so that the catalog this came from keeps its own list."""
    inputs = info.get("input")
    section = inputs.get(presence) if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(section, dict):
        return info
    match section[name]:
        case [list(), *rest]:
            written: Json = [choices, *rest]
        case [kind, dict(options)]:
            written = [kind, {**options, "options": choices}]
        case other:
            written = other
    return {**info, "input": {**inputs, presence: {**section, name: written}}}
