"""From a template and a client's values to a prompt; everything that is wrong with the values in one answer."""

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
"""What many clients write for a seed that they leave to chance; so does `null`."""


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """`values` are those that were used, drawn seeds and defaults included; files are left out of them."""

    prompt: Prompt
    values: Mapping[str, Json]


def fill(template: Template, params: Params, draw: Draw, sent: frozenset[str] = frozenset()) -> FilledTemplate:
    """The template's prompt with these values. Raises ParamsError.

    `sent` are the names of files that came with the request: any name will do for them, others need a suffix.
    """
    problems = list(_problems(template, params, sent))
    if problems:
        raise ParamsError(template.name, problems)
    prompt = {node_id: _copy(node) for node_id, node in template.prompt.items()}
    values: dict[str, Json] = {}
    for parameter in template.parameters:
        value = _value(parameter, params.get(parameter.name), draw)
        if value is None:
            _leave_out(prompt, parameter)
            continue
        if not parameter.type.is_file:
            values[parameter.name] = value
        _apply(prompt, parameter, _file(value, sent) if parameter.type.is_file else value)
    return FilledTemplate(prompt, values)


def _problems(template: Template, params: Params, sent: frozenset[str]) -> Iterator[ValueProblem]:
    known = template.by_name
    for name in params:
        if name not in known:
            meant = did_you_mean(name, known) or f"Known: {', '.join(known)}."
            yield ValueProblem(f"is none of template {template.name!r}", meant, name)
    for name, parameter in known.items():
        value = params.get(name)
        if value is None:
            if parameter.required:
                yield ValueProblem("is missing", valid_value_hint(parameter), name)
        elif not (
            _is_chance(parameter, value) or (parameter.type.is_file and isinstance(value, str) and value in sent)
        ):
            yield from value_problems(parameter, value)


def _is_chance(parameter: Parameter, value: Any) -> bool:  # noqa: ANN401 - JSON
    return parameter.type is ParameterKind.SEED and value == RANDOM_SEED and not isinstance(value, bool)


def _value(parameter: Parameter, given: Json, draw: Draw) -> Json:
    if parameter.type is ParameterKind.SEED and (given is None or given == RANDOM_SEED):
        return parameter.default if given is None and parameter.default is not None else draw(RANDOM_INTEGER_MAX + 1)
    value = parameter.default if given is None else given
    whole = parameter.type in {ParameterKind.INTEGER, ParameterKind.SEED}
    return int(value) if whole and isinstance(value, float) else value


def _file(value: Json, sent: frozenset[str]) -> Json:
    """Bare base64 as a data URI, which loaders' inputs may hold as they may a URL or the name of a file sent along."""
    named = not isinstance(value, str) or value in sent or SOURCE.match(value) or "." in value
    return value if named else f"data:;base64,{value}"


def _apply(prompt: Prompt, parameter: Parameter, value: Json) -> None:
    for target in parameter.sets:
        prompt[target.node]["inputs"][target.input] = _computed(parameter, target, value)
    if parameter.chain is not None and isinstance(value, list):
        _put_in(prompt, parameter, parameter.chain, value)


def _computed(parameter: Parameter, target: ParameterTarget, value: Json) -> Json:
    """A whole number stays one: half of 5 steps are 2."""
    if not target.computes or not isinstance(value, int | float):
        return value
    result = value * target.times + target.plus
    stands = parameter.type is not ParameterKind.NUMBER or target.times != 1
    return int(result + 1e-9) if stands else result


def _leave_out(prompt: Prompt, parameter: Parameter) -> None:
    for node_id in parameter.without:
        prompt.pop(node_id, None)
    for node in prompt.values():
        for name, value in list(node["inputs"].items()):
            if is_link(value) and isinstance(value, list) and value[0] in parameter.without:
                del node["inputs"][name]


def _put_in(prompt: Prompt, parameter: Parameter, chain: Chain, items: list[Json]) -> None:
    """One node an item; the last one takes the place of the sources for everybody who was linked to them."""
    if not items:
        return
    ends = {(link.source, link.slot): (link.source, link.slot) for link in chain.links}
    made: Prompt = {}
    for number, item in enumerate(items, start=1):
        fields = _fields(parameter, item)
        node_id = _free(f"{parameter.name}-{number}", prompt)
        inputs = {name: _from_item(value, fields) for name, value in chain.inputs.items()}
        for link in chain.links:
            inputs[link.input] = list(ends[link.source, link.slot])
        ends = {(link.source, link.slot): (node_id, link.output) for link in chain.links}
        made[node_id] = {"class_type": chain.class_type, "inputs": inputs, "_meta": {"title": node_id}}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            match value:
                case [str(source), int(slot)] if (source, slot) in ends:
                    node["inputs"][name] = list(ends[source, slot])
    prompt.update(made)


def _fields(parameter: Parameter, item: Json) -> dict[str, Json]:
    defaults = {field.name: field.default for field in parameter.fields if field.default is not None}
    return {**defaults, **(item if isinstance(item, dict) else {})}


def _from_item(value: Json, fields: Mapping[str, Json]) -> Json:
    name = referenced_field(value)
    return value if name is None else fields[name]


def _free(node_id: str, prompt: Prompt) -> str:
    while node_id in prompt:
        node_id += "-"
    return node_id


def _copy(node: Node) -> Node:
    copy = node.copy()
    copy["inputs"] = dict(node["inputs"])
    return copy
