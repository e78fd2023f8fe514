"""A node class as the catalog describes it: typed inputs, output slots and flags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.workflow.catalog.class_facts import NO_OUTPUT_NODES
from worker.workflow.catalog.folders import folders_of
from worker.workflow.json_value import Json, JsonObject

COMBO = "COMBO"
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"


class Presence(StrEnum):
    """Whether a prompt must set an input. The server fills in hidden inputs."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a node class.

    `type` is a ComfyUI type ("INT", "MODEL", "INT,FLOAT", "*"). It is "COMBO" for both forms in which ComfyUI writes
    choices. `folders` are the folders whose files the input lists ("checkpoints", "input"), empty for fixed choices.
    `config` is the pair in `GET /object_info`: the type or the list of choices, and the options.
    """

    name: str
    type: str
    presence: Presence
    config: tuple[Json, JsonObject]
    options: tuple[Json, ...] | None = None
    default: Json = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    multiselect: bool = False
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output slot. For the few classes that output a choice, `type` is the list of choices."""

    name: str
    type: str | list[Json]
    is_list: bool


@dataclass(frozen=True, slots=True)
class NodeClass:
    """One node class: inputs in declared order, output slots, and flags.

    `pack` is its Python module ("nodes", "comfy_extras.nodes_...", "custom_nodes.RES4LYF"). `is_v3` is True for a class
    that uses the newer (V3) API of ComfyUI. Only such a class can have dynamic inputs.
    """

    name: str
    display_name: str
    pack: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    output_node: bool
    api_node: bool
    is_input_list: bool
    is_v3: bool
    by_name: Mapping[str, InputSpec] = field(repr=False, compare=False)
    has_intermediate_output: bool = False
    """Whether ComfyUI reports the result of a cached node of this class again, even if no output needs the node."""
    static_inputs: Mapping[str, InputSpec] | None = field(default=None, repr=False, compare=False)
    """The inputs by name, without hidden ones. None if they depend on values: `expand` returns them then."""


def read_node_class(name: str, info: JsonObject, file_inputs: Collection[str] = ()) -> NodeClass:
    """Parse and return one class of `GET /object_info`.

    A missing field gets ComfyUI's default. Malformed inputs are skipped. `file_inputs` are inputs that list files of
    ComfyUI's input folder, in addition to those in `catalog.folders`.
    """
    inputs = tuple(_read_inputs(name, info, file_inputs))
    return NodeClass(
        name=name,
        display_name=_text(info, "display_name") or name,
        pack=_text(info, "python_module"),
        inputs=inputs,
        outputs=tuple(_read_outputs(info)),
        output_node=info.get("output_node") is True and name not in NO_OUTPUT_NODES,
        api_node=info.get("api_node") is True,
        is_input_list=info.get("is_input_list") is True,
        is_v3="api_node" in info,
        by_name=_inputs_by_name(inputs),
        has_intermediate_output=info.get("has_intermediate_output") is True,
        static_inputs=_static_inputs(inputs),
    )


def _static_inputs(inputs: tuple[InputSpec, ...]) -> Mapping[str, InputSpec] | None:
    """Return the inputs by name without hidden ones, or None if some of them depend on the values of a node."""
    if any(spec.type in (DYNAMIC_COMBO, AUTOGROW) for spec in inputs):
        return None
    return _inputs_by_name(spec for spec in inputs if spec.presence is not Presence.HIDDEN)


def _inputs_by_name(inputs: Iterable[InputSpec]) -> dict[str, InputSpec]:
    """Return the inputs by name. If several have the same name, the first counts: a required one before an optional."""
    by_name: dict[str, InputSpec] = {}
    for spec in inputs:
        by_name.setdefault(spec.name, spec)
    return by_name


def read_input(name: str, presence: Presence, definition: Json, folders: tuple[str, ...] = ()) -> InputSpec | None:
    """Return the input with the definition `[type, options]` of `GET /object_info`, or None if it is malformed."""
    if isinstance(definition, str):
        definition = [definition]  # a hidden input of a class that uses the older API
    if not isinstance(definition, list) or not definition:
        return None
    kind = definition[0]
    extra = definition[1] if len(definition) > 1 and isinstance(definition[1], dict) else {}
    choices: Json = None
    if isinstance(kind, list):
        choices = kind
    elif kind == COMBO:
        choices = extra.get("options", [])
    return InputSpec(
        name=name,
        type=kind if isinstance(kind, str) else COMBO,
        presence=presence,
        config=(kind, extra),
        options=tuple(choices) if isinstance(choices, list) else None,
        default=extra.get("default"),
        min=_number(extra, "min"),
        max=_number(extra, "max"),
        step=_number(extra, "step"),
        multiselect=bool(extra.get("multiselect")),
        folders=folders,
    )


def sections(inputs: Json) -> Iterator[tuple[Presence, JsonObject]]:
    """Yield each section of `{"required": {...}, "optional": {...}, "hidden": {...}}` with its inputs."""
    if isinstance(inputs, dict):
        for presence in Presence:
            section = inputs.get(presence.value)
            if isinstance(section, dict):
                yield presence, section


def _read_inputs(class_name: str, info: JsonObject, file_inputs: Collection[str]) -> Iterator[InputSpec]:
    """Yield the inputs of a class in their declared order. Inputs that `input_order` omits come last."""
    order = info.get("input_order")
    for presence, section in sections(info.get("input")):
        names = order.get(presence.value) if isinstance(order, dict) else None
        listed = names if isinstance(names, list) else []
        ordered = [name for name in listed if isinstance(name, str) and name in section]
        for name in dict.fromkeys([*ordered, *section]):
            folders = folders_of(class_name, name) or (("input",) if name in file_inputs else ())
            spec = read_input(name, presence, section[name], folders)
            if spec:
                yield spec


def _read_outputs(info: JsonObject) -> Iterator[OutputSpec]:
    """Yield the output slots of a class."""
    types, names, lists = info.get("output"), info.get("output_name"), info.get("output_is_list")
    for slot, kind in enumerate(types if isinstance(types, list) else []):
        name = names[slot] if isinstance(names, list) and slot < len(names) else kind
        is_list = isinstance(lists, list) and slot < len(lists) and lists[slot] is True
        yield OutputSpec(
            name=name if isinstance(name, str) else f"output {slot}",
            type=kind if isinstance(kind, str | list) else str(kind),
            is_list=is_list,
        )


def _text(info: JsonObject, key: str) -> str:
    """Return a field that is a text, else an empty text."""
    value = info.get(key)
    return value if isinstance(value, str) else ""


def _number(options: JsonObject, key: str) -> float | None:
    """Return a limit of a number, or None if the input has none."""
    value = options.get(key)
    if value == -(2.0**64):
        return -(2**64) + 1  # the exact limit of ComfyUI's integers, which the JSON parser rounds to a float
    return value if isinstance(value, int | float) else None
