"""Types of a template: a workflow with named parameters, described by `workflows/NAME.json` and `NAME.toml`."""

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
"""Name of a parameter, which is also a key in JSON and an option of a command."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


# Keeps pydantic from validating the prompt, which `parse_prompt` has already checked.
_UNVALIDATED = GetPydanticSchema(lambda _source, _handler: core_schema.dict_schema())


class ParameterKind(StrEnum):
    """Type of a parameter. The value of an `image`, `video` or `audio` is a URL, a data URI, base64, or a file name."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SEED = "seed"
    """An integer. If the request has none, a random one is drawn."""
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    LIST = "list"

    @property
    def is_file(self) -> bool:
        """Whether values are files: an image, a video or audio."""
        return self in {ParameterKind.IMAGE, ParameterKind.VIDEO, ParameterKind.AUDIO}

    @property
    def is_number(self) -> bool:
        """Whether values are numbers: an integer, a number or a seed."""
        return self in {ParameterKind.INTEGER, ParameterKind.NUMBER, ParameterKind.SEED}


class TemplateError(ValueError):
    """The TOML file or the workflow of a template is invalid. `problems` has one message for each problem."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(f"template {name!r}: {'; '.join(problems)}")
        self.name = name
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ParameterTarget:
    """One input of a node that a parameter sets to `value * times + plus`.

    `to` is `NODE.INPUT` as the TOML file has it, with the id or the title of a node. `node` and `input` are the node id
    and the input in the workflow.
    """

    __pydantic_config__ = STRICT
    to: str
    times: float = 1.0
    plus: float = 0.0
    node: str = ""
    input: str = ""

    @property
    def computes(self) -> bool:
        """Whether the input gets another number than the parameter, because `times` or `plus` is set."""
        return (self.times, self.plus) != (1.0, 0.0)


def _target_fields(written: object) -> object:
    """Return a target as a table. The TOML file may have a text `NODE.INPUT` instead of `{to = "NODE.INPUT"}`."""
    return {"to": written} if isinstance(written, str) else written


WrittenTarget = Annotated[ParameterTarget, BeforeValidator(_target_fields)]


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A link into which a chain of nodes is inserted.

    Nodes that were linked to `slot` of the node `source` are linked to slot `output` of the last node of the chain. The
    input `input` of the first node is linked to the source, and that of each further node to the node before it.
    """

    __pydantic_config__ = STRICT
    source: str
    input: str
    slot: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """Nodes in a row, one for each item of a list. In `inputs`, the text `$field` is replaced by a field of the item.

    An empty list does not change the workflow.
    """

    __pydantic_config__ = STRICT
    class_type: str
    inputs: Mapping[str, JsonValue]
    links: Annotated[tuple[ChainLink, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named value of a template.

    `default` comes from the TOML file, else from the first target in the workflow. If a parameter has neither a value
    nor a default, the nodes in `without` are removed, together with all links to them. `minimum` and `maximum` are
    inclusive. `fields` describes the items of a list, and `items_max` is their maximum number.
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
    """A file that must exist in ComfyUI's `models/FOLDER`. `file` is its name in the workflow, `size` is in bytes.

    `gated` is True if the host only serves the file to accounts that have accepted a licence.
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
    """A workflow with named parameters. `outputs` are node ids, `packs` are names in `comfyui_nodes.txt`."""

    __pydantic_config__ = STRICT
    name: str
    title: str
    about: str
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    models: tuple[ModelFile, ...] = ()
    packs: tuple[str, ...] = ()
    prompt: Annotated[Prompt, _UNVALIDATED] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}


Library = Mapping[str, Template]
"""Templates by name."""

Params = Mapping[str, Any]
"""Values for the parameters of a template: JSON values by name."""
