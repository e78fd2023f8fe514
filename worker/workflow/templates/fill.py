"""Builds a prompt from a template and the values of a client. Reports all invalid values together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import ParamsError, ValueProblem
from worker.workflow.json_value import Json
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import RANDOM_INTEGER_MAX, Node, Prompt, is_link
from worker.workflow.templates.reader import referenced_field
from worker.workflow.templates.template import Chain, Parameter, ParameterKind, ParameterTarget, Params, Template
from worker.workflow.templates.value import SOURCE, valid_value_hint, value_problems

Draw = Callable[[int], int]
"""Draws an integer from 0 to below its argument, as `secrets.randbelow` does."""
RANDOM_SEED = -1
"""Value that many clients send for a random seed. `null` means the same."""


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A prompt made from a template, and the values used for it, including defaults and drawn seeds but not files."""

    prompt: Prompt
    values: Mapping[str, Json]


def fill(template: Template, params: Params, draw: Draw, sent: frozenset[str] = frozenset()) -> FilledTemplate:
    """Return the prompt of the template with the values of a client, and the values that were used.

    `sent` are the names of files in the request. Such a name may be any text, while other file names need an extension.
    Raises ParamsError, which lists all invalid values.
    """
    problems = list(_problems(template, params, sent))
    if problems:
        raise ParamsError(template.name, problems)
    prompt = {node_id: _copy(node) for node_id, node in template.prompt.items()}
    values: dict[str, Json] = {}
    for parameter in template.parameters:
        value = _value_to_use(parameter, params.get(parameter.name), draw)
        if value is None:
            _remove_optional_nodes(prompt, parameter)
            continue
        if parameter.type.is_file:
            value = _file_reference(value, sent)
        else:
            values[parameter.name] = value
        _set_targets(prompt, parameter, value)
    return FilledTemplate(prompt, values)


def _problems(template: Template, params: Params, sent: frozenset[str]) -> Iterator[ValueProblem]:
    """Yield a problem for each unknown name, each missing required value and each invalid value."""
    parameters = template.by_name
    for name in params:
        if name not in parameters:
            hint = did_you_mean(name, parameters) or f"Known parameters: {', '.join(parameters)}."
            yield ValueProblem(f"is no parameter of template {template.name!r}", hint, name)
    for name, parameter in parameters.items():
        value = params.get(name)
        if value is None:
            if parameter.required:
                yield ValueProblem("is missing", valid_value_hint(parameter), name)
            continue
        is_sent_file = parameter.type.is_file and isinstance(value, str) and value in sent
        if not is_sent_file and not _is_random_seed(parameter, value):
            yield from value_problems(parameter, value)


def _is_random_seed(parameter: Parameter, value: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether a value asks for a random seed: -1, for a parameter that is a seed."""
    return parameter.type is ParameterKind.SEED and value == RANDOM_SEED and not isinstance(value, bool)


def _value_to_use(parameter: Parameter, sent_value: Json, draw: Draw) -> Json:
    """Return the value to use: the one that was sent, else the default or a random seed. Return None if there is none.

    The value -1 always draws a seed. `null` or no value only draws one if the seed has no default.
    """
    if parameter.type is ParameterKind.SEED and (sent_value is None or sent_value == RANDOM_SEED):
        has_default = sent_value is None and parameter.default is not None
        return parameter.default if has_default else draw(RANDOM_INTEGER_MAX + 1)
    value = parameter.default if sent_value is None else sent_value
    is_integer = parameter.type in {ParameterKind.INTEGER, ParameterKind.SEED}
    return int(value) if is_integer and isinstance(value, float) else value  # JSON may write 5 as 5.0


def _file_reference(value: Json, sent: frozenset[str]) -> Json:
    """Return a file value with plain base64 as a data URI. Return a URL, a data URI and a file name unchanged."""
    if not isinstance(value, str) or value in sent:
        return value
    is_reference = SOURCE.match(value) or "." in value  # a file name has an extension, and base64 has no dot
    return value if is_reference else f"data:;base64,{value}"


def _set_targets(prompt: Prompt, parameter: Parameter, value: Json) -> None:
    """Set the targets of a parameter in the prompt, and add its chain of nodes."""
    for target in parameter.sets:
        prompt[target.node]["inputs"][target.input] = _target_value(parameter, target, value)
    if parameter.chain is not None and isinstance(value, list):
        _insert_chain(prompt, parameter, parameter.chain, value)


def _target_value(parameter: Parameter, target: ParameterTarget, value: Json) -> Json:
    """Return the value for a target: `value * times + plus`, as the target declares. A value that is no number stays.

    The result is truncated to an integer (half of 5 is 2), except for a number that is only shifted.
    """
    if not target.computes or not isinstance(value, int | float):
        return value
    result = value * target.times + target.plus
    is_integer = parameter.type is not ParameterKind.NUMBER or target.times != 1
    return int(result + 1e-9) if is_integer else result  # a float such as 2.9999999999 stands for 3


def _remove_optional_nodes(prompt: Prompt, parameter: Parameter) -> None:
    """Remove the nodes that the parameter lists in `without`, and all links to them, from the prompt.

    Called for a parameter that has no value.
    """
    for node_id in parameter.without:
        prompt.pop(node_id, None)
    for node in prompt.values():
        for name, value in list(node["inputs"].items()):
            if is_link(value) and isinstance(value, list) and value[0] in parameter.without:
                del node["inputs"][name]


def _insert_chain(prompt: Prompt, parameter: Parameter, chain: Chain, items: list[Json]) -> None:
    """Add one node for each item to the prompt, in a row. The fields of the item are the inputs of its node.

    Links to the sources of the chain are replaced by links to its last node. Without items, nothing changes.
    """
    if not items:
        return
    # For each output at the start of the chain, the output that is now at the end of it.
    ends = {(link.source, link.slot): (link.source, link.slot) for link in chain.links}
    new_nodes: Prompt = {}
    for number, item in enumerate(items, start=1):
        fields = _fields_of_item(parameter, item)
        node_id = _unused_id(f"{parameter.name}-{number}", prompt)
        inputs = {name: _chain_input(value, fields) for name, value in chain.inputs.items()}
        for link in chain.links:
            inputs[link.input] = list(ends[link.source, link.slot])
        ends = {(link.source, link.slot): (node_id, link.output) for link in chain.links}
        new_nodes[node_id] = {"class_type": chain.class_type, "inputs": inputs, "_meta": {"title": node_id}}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            match value:
                case [str(source), int(slot)] if (source, slot) in ends:
                    node["inputs"][name] = list(ends[source, slot])
    prompt.update(new_nodes)


def _fields_of_item(parameter: Parameter, item: Json) -> dict[str, Json]:
    """Return the fields of an item, with defaults for the missing ones."""
    defaults = {field.name: field.default for field in parameter.fields if field.default is not None}
    return {**defaults, **(item if isinstance(item, dict) else {})}


def _chain_input(value: Json, fields: Mapping[str, Json]) -> Json:
    """Return the value of a chain input: the field that `$field` names, or the value itself."""
    name = referenced_field(value)
    return value if name is None else fields[name]


def _unused_id(node_id: str, prompt: Prompt) -> str:
    """Return the id, with hyphens appended until no node of the prompt has it."""
    while node_id in prompt:
        node_id += "-"
    return node_id


def _copy(node: Node) -> Node:
    """Return a copy of a node whose inputs can be changed."""
    copy = node.copy()
    copy["inputs"] = dict(node["inputs"])
    return copy
