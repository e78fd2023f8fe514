"""A template: a workflow with named parameters, as `workflows/NAME.json` and `NAME.toml` describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, GetPydanticSchema, JsonValue, StringConstraints
from pydantic_core import core_schema

from worker.workflow.prompt import Prompt

STRICT = ConfigDict(extra="forbid")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Of a parameter: it becomes a key in JSON, and an option of a command."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


_AS_IT_IS = GetPydanticSchema(lambda _source, _handler: core_schema.dict_schema())


class ParameterKind(StrEnum):
    """What a parameter takes. An `image`, `video` or `audio` is a URL, a data URI, base64, or a file's name."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SEED = "seed"
    """An integer; where none is given, a fresh one."""
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    LIST = "list"

    @property
    def is_file(self) -> bool:
        return self in {ParameterKind.IMAGE, ParameterKind.VIDEO, ParameterKind.AUDIO}

    @property
    def is_number(self) -> bool:
        return self in {ParameterKind.INTEGER, ParameterKind.NUMBER, ParameterKind.SEED}


class TemplateError(ValueError):
    """A template is not one: `problems` are sentences about its TOML and its workflow."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(f"template {name!r}: {'; '.join(problems)}")
        self.name = name
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ParameterTarget:
    """One input of one node that a parameter sets: to the value itself, or to `value * times + plus`.

    `to` is written `NODE.INPUT`, with a node's id or title; `node` and `input` are what that means in the workflow.
    """

    __pydantic_config__ = STRICT
    to: str
    times: float = 1.0
    plus: float = 0.0
    node: str = ""
    input: str = ""

    @property
    def computes(self) -> bool:
        return (self.times, self.plus) != (1.0, 0.0)


def _target(written: object) -> object:
    return {"to": written} if isinstance(written, str) else written


WrittenTarget = Annotated[ParameterTarget, BeforeValidator(_target)]


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A link that a chain of nodes is put into: whoever took `slot` of the node `source` takes the chain's `output`.

    The first node of the chain takes the source by its `input`, each further one the node before it.
    """

    __pydantic_config__ = STRICT
    source: str
    input: str
    slot: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """One node for each item of a list, one behind the other; in `inputs` the text `$field` is a field of the item.

    An empty list leaves the workflow as it is.
    """

    __pydantic_config__ = STRICT
    class_type: str
    inputs: Mapping[str, JsonValue]
    links: Annotated[tuple[ChainLink, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named value of a template.

    `default` is the TOML's, else what the workflow has in the first target. A parameter that is not required and has
    no default is left out: with it go the nodes in `without`, and every link to them. `maximum` and `minimum` are
    included. `fields` are those of a list's items, `items_max` how many there may be.
    """

    __pydantic_config__ = STRICT
    name: Name
    type: ParameterKind
    description: str = ""
    sets: tuple[WrittenTarget, ...] = ()
    default: JsonValue = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = None
    choices: tuple[str, ...] = ()
    max_length: int = 20_000
    without: tuple[str, ...] = ()
    fields: tuple[Parameter, ...] = ()
    items_max: int = 8
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that has to lie in ComfyUI's `models/folder`. `file` is the name that the workflow uses, `size` bytes.

    `gated`: its host wants an account that has agreed to a licence.
    """

    __pydantic_config__ = STRICT
    file: str
    folder: str
    url: Address | None = None
    size: Annotated[int, Field(gt=0)] | None = None
    sha256: Hash | None = None
    gated: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow with named parameters: `outputs` are ids of nodes, `packs` names of `comfyui_nodes.txt`."""

    __pydantic_config__ = STRICT
    name: str
    title: str
    about: str
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    models: tuple[ModelFile, ...] = ()
    packs: tuple[str, ...] = ()
    prompt: Annotated[Prompt, _AS_IT_IS] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}


Library = Mapping[str, Template]
"""Templates by name."""

Params = Mapping[str, Any]
"""What a client gives a template's parameters: JSON values by name."""
