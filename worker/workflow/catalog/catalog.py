"""The node classes of an engine: typed access to the response of `GET /object_info`, parsed on demand."""

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
"""A file beside the bundled catalog: the pinned commits that its classes come from, and the hash of the catalog."""

# Fields of every class in GET /object_info. The reduced catalog omits a field that has this default.
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
# Additional fields of classes that use the newer (V3) API of ComfyUI.
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
    """Node classes by name. A class is parsed at its first use.

    `definitions` holds each class as an object or as JSON text. `files` maps a model folder to file names. File inputs
    offer these files in addition to the choices of the class itself.
    """

    def __init__(
        self,
        definitions: Mapping[str, JsonObject | bytes],
        files: Mapping[str, Sequence[str]],
        saved_models: SavedModels = NO_SAVED_MODELS,
        *,
        hides_job_folders: bool = False,
    ) -> None:
        self.hides_job_folders = hides_job_folders
        """Whether choices omit folders of jobs. An input whose choices listed one counts as a file input."""
        self.saved_models = saved_models
        """Model files that jobs wrote. The choices omit them."""
        self._definitions = dict(definitions)
        self._files = dict(files)
        self._parsed: dict[str, NodeClass] = {}
        self._output_types: frozenset[str] | None = None
        self._job_folder_inputs: dict[str, frozenset[str]] = {}
        """Inputs of each class whose choices listed the folder of a job in an earlier version of the class."""

    @classmethod
    def bundled(cls) -> Catalog:
        """Return the catalog that ships with the worker: ComfyUI and all node packs of the image.

        Its file inputs only have their fixed options (`[None]`, `.use_ckpt_vae`). `with_files` adds files.
        """
        return cls.from_packed(resources.files("worker.workflow.catalog").joinpath("data", BUNDLED).read_bytes())

    @classmethod
    def from_packed(cls, packed: bytes) -> Catalog:
        """Return the catalog in a file of `worker.workflow.catalog.reduce`: gzipped lines `NAME<tab>JSON`."""
        lines = gzip.decompress(packed).splitlines()
        rows = (line.partition(b"\t") for line in lines)
        return cls({name.decode(): text for name, _, text in rows}, {})

    @classmethod
    def from_object_info(cls, object_info: Mapping[str, object]) -> Catalog:
        """Return the catalog in a decoded response of `GET /object_info`. Entries that are not objects are skipped."""
        return cls({name: info for name, info in object_info.items() if isinstance(info, dict)}, {})

    def classes_with_hidden_input(self, names: Iterable[str], hidden: str) -> Iterator[NodeClass]:
        """Yield the classes among `names` that have a hidden input of type `hidden`. Unknown names are skipped."""
        classes = (self[name] for name in set(names) if name in self)
        for node_class in classes:
            if any(spec.type == hidden and spec.presence is Presence.HIDDEN for spec in node_class.inputs):
                yield node_class

    def with_files(self, files: Mapping[str, Sequence[str]]) -> Catalog:
        """Return a catalog whose file inputs list these files (names by folder) before their fixed options."""
        return Catalog(self._definitions, files, self.saved_models, hides_job_folders=self.hides_job_folders)

    def without_saved_models(self, saved_models: SavedModels) -> Catalog:
        """Return a catalog whose choices omit these files, which jobs wrote."""
        if saved_models == self.saved_models:
            return self
        return Catalog(self._definitions, self._files, saved_models, hides_job_folders=self.hides_job_folders)

    def without_job_folders(self) -> Catalog:
        """Return a catalog whose choices omit folders of jobs. Clients only see such a catalog."""
        if self.hides_job_folders:
            return self
        return Catalog(self._definitions, self._files, self.saved_models, hides_job_folders=True)

    def with_classes(self, changed: Mapping[str, JsonObject | None]) -> Catalog:
        """Return a catalog with these classes added or replaced, or removed if the value is None.

        Classes that do not change are not parsed again.
        """
        definitions = {name: info for name, info in self._definitions.items() if name not in changed}
        definitions |= {name: info for name, info in changed.items() if info is not None}
        other = Catalog(definitions, self._files, self.saved_models, hides_job_folders=self.hides_job_folders)
        if self.hides_job_folders:  # the new version of a class may list no job folder at this moment, but did earlier
            other._job_folder_inputs = {
                name: self._job_folder_inputs_of(name) for name in changed if name in self._definitions
            }
        other._parsed.update((name, parsed) for name, parsed in self._parsed.items() if name not in changed)
        return other

    def object_info(self, name: str) -> JsonObject:
        """Return one class in the format of `GET /object_info/{name}`. Raises KeyError for an unknown class.

        If `hides_job_folders` is set, choices inside folders of jobs are left out.
        """
        info = self._info(name)
        if self.hides_job_folders:
            info, _ = class_without_job_folders(info)
        return info

    def _info(self, name: str) -> JsonObject:
        """Return one class in the format of `GET /object_info`, including names of job folders.

        Default fields and the catalog's files are added, and model files that jobs wrote are removed from its choices.
        """
        definition = self._definitions[name]
        info: JsonObject = orjson.loads(definition) if isinstance(definition, bytes) else definition
        is_v3 = "api_node" in info
        defaults = {**_DEFAULTS, **_DEFAULTS_V3} if is_v3 else _DEFAULTS
        info = {**defaults, **info, "name": name}
        if "input_order" not in info and isinstance(info.get("input"), dict):
            info["input_order"] = _input_order(info["input"])
        info = self._with_files_listed(name, info) if self._files else info
        return self.saved_models.class_without_names(info, folders_by_input(name)) if self.saved_models else info

    def output_types(self) -> frozenset[str]:
        """Return the types of all outputs. An input of one of these types can be linked."""
        if self._output_types is None:
            outputs = (_output_types_of(definition) for definition in self._definitions.values())
            self._output_types = frozenset(kind for types in outputs for kind in types if isinstance(kind, str))
        return self._output_types

    def to_object_info(self) -> dict[str, JsonObject]:
        """Return all classes in the format of `GET /object_info`."""
        return {name: self.object_info(name) for name in self._definitions}

    def __getitem__(self, name: str) -> NodeClass:
        if name not in self._parsed:
            file_inputs = self._job_folder_inputs_of(name) if self.hides_job_folders else ()
            self._parsed[name] = read_node_class(name, self.object_info(name), file_inputs)
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    def _job_folder_inputs_of(self, name: str) -> frozenset[str]:
        """Return the inputs of a class whose choices list folders of jobs, or did so in an earlier version."""
        _, current_inputs = class_without_job_folders(self._info(name))
        return current_inputs | self._job_folder_inputs.get(name, frozenset())

    def _with_files_listed(self, name: str, info: JsonObject) -> JsonObject:
        """Return a class with the catalog's files added to the choices of its file inputs."""
        for spec in read_node_class(name, info).inputs:
            present = [file for folder in spec.folders for file in self._files.get(folder, ())]
            if present:
                choices: list[Json] = list(dict.fromkeys([*present, *(spec.options or ())]))
                info = _with_choices(info, spec.presence.value, spec.name, choices)
        return info


@cache
def bundled_catalog() -> Catalog:
    """Return `Catalog.bundled()`, unpacked once per process. For checks without an engine."""
    return Catalog.bundled()


def _output_types_of(definition: JsonObject | bytes) -> list[Json]:
    """Return the output types of a class, given as an object or as JSON text."""
    info = orjson.loads(definition) if isinstance(definition, bytes) else definition
    outputs = info.get("output")
    return outputs if isinstance(outputs, list) else []


def _input_order(inputs: Json) -> JsonObject:
    """Return the value of `input_order` for a class: the names of its inputs by section."""
    if not isinstance(inputs, dict):
        return {}
    return {presence: list(section) for presence, section in inputs.items() if isinstance(section, dict)}


def _with_choices(info: JsonObject, presence: str, name: str, choices: list[Json]) -> JsonObject:
    """Return a class of `GET /object_info` with other choices for the input `name` in the section `presence`.

    Copies what it changes, because catalogs share their classes.
    """
    inputs = info.get("input")
    section = inputs.get(presence) if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(section, dict):
        return info
    match section[name]:
        case [list(), *rest]:  # older form: the choices stand in place of the type
            definition: Json = [choices, *rest]
        case [kind, dict(options)]:  # newer form: the choices are an option of the type COMBO
            definition = [kind, {**options, "options": choices}]
        case other:
            definition = other
    return {**info, "input": {**inputs, presence: {**section, name: definition}}}
