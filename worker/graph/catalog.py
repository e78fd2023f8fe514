"""The node classes that an engine offers: what `GET /object_info` says, typed and read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.graph.json_value import Json, JsonObject


class Presence(StrEnum):
    """Whether a prompt has to give an input; hidden ones are filled in by the server."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a node class.

    `type` is a ComfyUI type ("INT", "MODEL", "INT,FLOAT", "*"), "COMBO" for a choice in either of its two written
    forms. `folder` names the folder whose files a choice lists ("checkpoints", "input"), None for fixed choices.
    `config` is the written form, `[type, options]`, as the catalog has it.
    """

    name: str
    type: str
    presence: Presence
    config: tuple[Json, JsonObject]
    options: tuple[Json, ...] | None = None
    default: Json = None
    min: float | int | None = None
    max: float | int | None = None
    step: float | int | None = None
    multiselect: bool = False
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output slot; `type` is a list of choices for the few classes that pass a choice on."""

    name: str
    type: str | tuple[Json, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class NodeClass:
    """One node class: inputs in declared order, output slots, and the flags that decide how it runs."""

    name: str
    display_name: str
    category: str
    pack: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    output_node: bool
    api_node: bool
    is_input_list: bool
    deprecated: bool
    experimental: bool


class Catalog(Mapping[str, NodeClass]):
    """Node classes by name; a class is parsed when it is first asked for."""

    @classmethod
    def bundled(cls) -> Catalog:
        """The catalog of ComfyUI 0.33.0 with the node packs, reduced to facts, that ships with the worker."""
        raise NotImplementedError

    @classmethod
    def from_object_info(cls, object_info: Mapping[str, object]) -> Catalog:
        """Read the decoded answer of `GET /object_info`; both catalogs of several files can be merged before."""
        raise NotImplementedError

    def with_files(self, files: Mapping[str, Sequence[str]]) -> Catalog:
        """Return a catalog in which choices of files list these names by folder, after their fixed options."""
        raise NotImplementedError

    def object_info(self, name: str) -> JsonObject:
        """Return one class in the shape of `GET /object_info/{class}` (the inner object)."""
        raise NotImplementedError

    def to_object_info(self) -> JsonObject:
        """Return all classes in the shape of `GET /object_info`."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> NodeClass:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError
