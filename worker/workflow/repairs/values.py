"""Repairs the values of a node: file names from other systems, missing inputs, malformed links, invalid seeds."""

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
"""Start of a URL or a data URI. A Windows drive has only one letter, so it does not match."""
ESCAPED_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]|\\+[nrt/]){64,}={0,2}(?:\\+[nr])*", re.ASCII)
"""Base64 data whose line breaks and slashes were escaped twice. A path of this length would have an extension."""
NUMBERS = frozenset({"INT", "FLOAT"})
CONTROL = "control_after_generate"
SLOT = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class ListedNames:
    """File names in a list of choices, by their normalized form.

    `has_backslashes` is True if some names contain a backslash: the server runs on Windows then.
    """

    by_normalized: Mapping[str, Collection[str]]
    has_backslashes: bool

    @classmethod
    def of(cls, options: Iterable[Json]) -> Self:
        """Return the file names among these choices."""
        names = [option for option in options if isinstance(option, str)]
        by_normalized: dict[str, set[str]] = {}
        for name in names:
            by_normalized.setdefault(_normalized_name(name), set()).add(name)
        return cls(by_normalized, any("\\" in name for name in names))


@dataclass(frozen=True, slots=True)
class RepairContext:
    """The prompt of a node, the file names of the request, which are never changed, and the option to keep seeds."""

    prompt: Prompt
    own_files: Container[str]
    keep_seeds: bool
    _listed: dict[int, ListedNames] = field(default_factory=dict)
    """Names by the id of the list of choices. Many nodes share a list, and lists can be long."""

    def listed(self, spec: InputSpec) -> ListedNames:
        """Return the file names among the choices of an input. Computed once for each list of choices."""
        names = self._listed.get(id(spec.options))
        if names is None:
            names = self._listed[id(spec.options)] = ListedNames.of(spec.options or ())
        return names


def value_changes(node: Node, catalog: Catalog, context: RepairContext) -> Iterator[ValueChange]:
    """Yield a change for each input of a node that needs a repair. The class of the node must be in the catalog."""
    node_class, inputs = catalog[node["class_type"]], node["inputs"]
    specs = node_class.static_inputs or expand(node_class, inputs)
    for spec in specs.values():
        change: ValueChange | None = None
        value = inputs.get(spec.name)
        if spec.name not in inputs:
            change = _missing_input_change(spec, [name for name in inputs if name not in specs])
        elif isinstance(value, list):
            change = None if is_link(value) else _link_change(spec, value, context.prompt)
        elif _is_seed(spec):
            validator = NODE_VALIDATORS.get(node_class.name)
            checks_itself = validator is not None and validator.accepts(spec.name)  # ComfyUI accepts any seed then
            change = None if context.keep_seeds or checks_itself else seed_change(spec, value)
        else:
            change = _value_change(spec, value, context)
        if change is not None:
            yield change


def _link_change(spec: InputSpec, value: list[Json], prompt: Prompt) -> ValueChange | None:
    """Return the change of a link whose node id is a number or whose slot is a text, or None for any other list."""
    match value:
        case [str(node) | int(node), str(slot) | int(slot)] if str(node) in prompt and SLOT.fullmatch(str(slot)):
            runs: list[Json] = [str(node), int(slot)]
            message = f"The link {value} runs as {runs}: node ids must be text, and slots must be numbers."
            return ValueChange(spec.name, value, runs, "link_form", message)
    return None


def _is_seed(spec: InputSpec) -> bool:
    """Return whether an input is a seed: an integer called "seed", or one that the editor changes after each run."""
    named = spec.name == "seed" or spec.name.endswith((".seed", "_seed"))
    return spec.type == "INT" and (named or bool(spec.config[1].get(CONTROL)))


def _missing_input_change(spec: InputSpec, unknown_inputs: list[str]) -> ValueChange | None:
    """Return the change that sets a missing input to its declared default, or None if it is not changed.

    Only a required input with a default that ComfyUI accepts is set. The first choice of a list is not a default,
    because it is only the first one that the editor shows. If the node has an unknown input with a similar name, that
    input may be meant, so nothing is changed.
    """
    if spec.presence is not Presence.REQUIRED or not _has_valid_default(spec):
        return None
    if nearest(spec.name, unknown_inputs) is not None:
        return None
    message = f"The input {spec.name!r} was missing. It has its default value, {spec.default!r}."
    return ValueChange(spec.name, None, _default_value(spec.default), "input_missing", message)


def _value_change(spec: InputSpec, value: Json, context: RepairContext) -> ValueChange | None:
    """Return the change of a file name, or of a null value to the default, or None if the value stays."""
    if isinstance(value, str) and spec.type == COMBO:
        name = _listed_name(spec, value, context)
        return None if name is None else _file_name_change(spec, value, name)
    null_is_choice = spec.type == COMBO and None in (spec.options or ())
    rejects_null = (spec.type in NUMBERS or spec.type == COMBO) and not null_is_choice
    if value is None and rejects_null and _has_valid_default(spec):
        message = f"The input {spec.name!r} was null. It has its default value, {spec.default!r}."
        return ValueChange(spec.name, None, _default_value(spec.default), "input_missing", message)
    return None


def _has_valid_default(spec: InputSpec) -> bool:
    """Return whether ComfyUI accepts the default that the class declares."""
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


def _default_value(default: Json) -> Json:
    """Return the default, wrapped if it is a list, so that ComfyUI does not treat it as a link."""
    return {"__value__": default} if isinstance(default, list) else default


def _listed_name(spec: InputSpec, value: str, context: RepairContext) -> str | None:
    """Return the listed name that differs from `value` only in separators and Unicode form, or None if `value` stays.

    If no listed name matches, return a model name with `/` in place of backslashes, unless the server runs on Windows.
    Upper and lower case are distinct, because two files may differ only in case.
    """
    if value in (spec.options or ()) or value in context.own_files:
        return None
    has_one_form = value.isascii() and not SEPARATORS.search(value)
    if has_one_form or ADDRESS.match(value) or ESCAPED_BASE64.fullmatch(value):
        return None
    listed = context.listed(spec)
    matches = listed.by_normalized.get(_normalized_name(value), ())
    if len(matches) == 1:
        return next(iter(matches))
    if matches or listed.has_backslashes or "\\" not in value or not spec.folders:
        return None
    return SEPARATORS.sub("/", value)  # the file need not be listed: it may still be downloading


def _normalized_name(name: str) -> str:
    """Return a file name with `/` as the separator and in composed Unicode form, for comparisons."""
    return SEPARATORS.sub("/", unicodedata.normalize("NFC", name)).removeprefix("./")


def _file_name_change(spec: InputSpec, value: str, name: str) -> ValueChange:
    """Return the change of a file name to the listed name. Its message names the difference: separator or Unicode."""
    if unicodedata.normalize("NFC", value) != unicodedata.normalize("NFC", name):
        message = f"{value!r} runs as {name!r}: this server uses another folder separator."
        return ValueChange(spec.name, value, name, "path_separator", message)
    message = f"{value!r} runs in the Unicode form in which this server lists this name."
    return ValueChange(spec.name, value, name, "unicode_form", message)
