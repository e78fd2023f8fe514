"""Values of one node: names of files as another system writes them, inputs that are missing, seeds out of range."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import COMBO, InputSpec, Presence
from worker.workflow.json_value import Json
from worker.workflow.nearest import nearest
from worker.workflow.prompt import Node, Prompt, is_link
from worker.workflow.repairs.seeds import seed_change
from worker.workflow.repairs.value_change import ValueChange
from worker.workflow.validation.packs.node_validators import NODE_VALIDATORS

SEPARATORS = re.compile(r"[\\/]+")
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
"""How URLs and data URIs begin; the drive of a path has one letter."""
ESCAPED_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]|\\+[nrt/]){64,}={0,2}(?:\\+[nr])*", re.ASCII)
"""A file in place of its name, whose line breaks and slashes were escaped twice; a path of this length has a suffix."""
NUMBERS = frozenset({"INT", "FLOAT"})
CONTROL = "control_after_generate"
SLOT = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class ListedNames:
    """Names of files that are choices, by what is the same in each way to write them.

    `foreign`: some of them have backslashes, so that the server is one on Windows.
    """

    by_same: Mapping[str, Collection[str]]
    foreign: bool

    @classmethod
    def of(cls, options: Iterable[Json]) -> Self:
        names = [option for option in options if isinstance(option, str)]
        by_same: dict[str, set[str]] = {}
        for name in names:
            by_same.setdefault(_same(name), set()).add(name)
        return cls(by_same, any("\\" in name for name in names))


@dataclass(frozen=True, slots=True)
class RepairContext:
    """What the values of a node are judged by: its prompt, the files that stay as they are named, and the wish."""

    prompt: Prompt
    own: Container[str]
    keep_seeds: bool
    _listed: dict[int, ListedNames] = field(default_factory=dict)
    """By the list of choices: many nodes have the same, which may be long."""

    def listed(self, spec: InputSpec) -> ListedNames:
        """The choices of an input that are texts."""
        names = self._listed.get(id(spec.options))
        if names is None:
            names = self._listed[id(spec.options)] = ListedNames.of(spec.options or ())
        return names


def value_changes(node: Node, catalog: Catalog, context: RepairContext) -> Iterator[ValueChange]:
    """Yield what has to change in a node of a known class."""
    node_class, inputs = catalog[node["class_type"]], node["inputs"]
    specs = node_class.shown or expand(node_class, inputs)
    for spec in specs.values():
        change: ValueChange | None = None
        value = inputs.get(spec.name)
        if spec.name not in inputs:
            change = _missing(spec, [name for name in inputs if name not in specs])
        elif isinstance(value, list):
            change = None if is_link(value) else _link(spec, value, context.prompt)
        elif _is_seed(spec):
            validator = NODE_VALIDATORS.get(node_class.name)
            own_check = validator is not None and validator.accepts(spec.name)
            change = None if context.keep_seeds or own_check else seed_change(spec, value)
        else:
            change = _value(spec, value, context)
        if change is not None:
            yield change


def _link(spec: InputSpec, value: list[Json], prompt: Prompt) -> ValueChange | None:
    """A link whose node is written as a number, or whose slot is written as text."""
    match value:
        case [str(node) | int(node), str(slot) | int(slot)] if str(node) in prompt and SLOT.fullmatch(str(slot)):
            runs: list[Json] = [str(node), int(slot)]
            message = f"The link {value} is written {runs}: ids of nodes are text, and slots are numbers."
            return ValueChange(spec.name, value, runs, "link_form", message)
    return None


def _is_seed(spec: InputSpec) -> bool:
    """True for an integer that is called a seed, or that the editor changes from run to run."""
    named = spec.name == "seed" or spec.name.endswith((".seed", "_seed"))
    return spec.type == "INT" and (named or bool(spec.config[1].get(CONTROL)))


def _missing(spec: InputSpec, strange: list[str]) -> ValueChange | None:
    """The default that the class declares. The first choice of a list is none: it is only what the editor shows first.

    Where the node has a name that its class does not know and that is near, that one may be meant.
    """
    if spec.presence is not Presence.REQUIRED or not _usable(spec) or (strange and nearest(spec.name, strange)):
        return None
    message = f"The input {spec.name!r} was missing: it has its default, {spec.default!r}."
    return ValueChange(spec.name, None, _plain(spec.default), "input_missing", message)


def _value(spec: InputSpec, value: Json, context: RepairContext) -> ValueChange | None:
    if isinstance(value, str) and spec.type == COMBO:
        name = _choice(spec, value, context)
        return None if name is None else _file_name(spec, value, name)
    if value is None and (spec.type in NUMBERS or spec.type == COMBO) and _usable(spec):
        if spec.type == COMBO and None in (spec.options or ()):
            return None
        message = f"The input {spec.name!r} was null: it has its default, {spec.default!r}."
        return ValueChange(spec.name, None, _plain(spec.default), "input_missing", message)
    return None


def _usable(spec: InputSpec) -> bool:
    """Whether ComfyUI takes the default that a class declares."""
    default = spec.default
    if default is None:
        return False
    if spec.type == COMBO:
        return default in (spec.options or ()) or isinstance(default, list)
    if spec.type in NUMBERS:
        if not isinstance(default, int | float):
            return False
        return (spec.min is None or default >= spec.min) and (spec.max is None or default <= spec.max)
    return True


def _plain(default: Json) -> Json:
    """A list is wrapped, so that it is not taken for a link."""
    return {"__value__": default} if isinstance(default, list) else default


def _choice(spec: InputSpec, value: str, context: RepairContext) -> str | None:
    """The listed name that is the same but for separators and the form of its letters; None where `value` stays.

    A name in capitals is another one: two files may differ in nothing else.
    """
    plain = value.isascii() and not SEPARATORS.search(value)
    if plain or value in (spec.options or ()) or value in context.own or ADDRESS.match(value):
        return None
    if ESCAPED_BASE64.fullmatch(value):
        return None
    listed = context.listed(spec)
    matches = listed.by_same.get(_same(value), ())
    if len(matches) == 1:
        return next(iter(matches))
    if matches or listed.foreign or "\\" not in value or not spec.folders:
        return None
    return SEPARATORS.sub("/", value)  # the file may be on its way


def _same(name: str) -> str:
    return SEPARATORS.sub("/", unicodedata.normalize("NFC", name)).removeprefix("./")


def _file_name(spec: InputSpec, value: str, name: str) -> ValueChange:
    if unicodedata.normalize("NFC", value) != unicodedata.normalize("NFC", name):
        message = f"{value!r} is written {name!r} here: this server separates folders by another character."
        return ValueChange(spec.name, value, name, "path_separator", message)
    message = f"{value!r} is listed here with the same letters in another Unicode form."
    return ValueChange(spec.name, value, name, "unicode_form", message)
