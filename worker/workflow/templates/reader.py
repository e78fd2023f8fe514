"""The TOML beside a workflow, read and held against the workflow: all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from worker.errors import PromptError
from worker.workflow.assign import find_input, find_node
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, is_link, parse_prompt
from worker.workflow.templates.template import (
    ChainLink,
    Parameter,
    ParameterKind,
    ParameterTarget,
    Template,
    TemplateError,
)
from worker.workflow.templates.value import value_problem


def read_template(name: str, workflow: object, table: Mapping[str, object]) -> Template:
    """A template from the decoded JSON and TOML. Raises TemplateError with every problem that was found.

    Titles of nodes become ids, and defaults that the TOML leaves out are taken from the workflow.
    """
    try:
        prompt = parse_prompt(workflow)
        template = _adapter().validate_python(_with_names(name, table))
    except PromptError as error:
        raise TemplateError(name, [error.message]) from error
    except ValidationError as error:
        raise TemplateError(name, [_told(problem, table) for problem in error.errors()]) from error
    return _Bound(prompt).template(template)


@cache
def _adapter() -> TypeAdapter[Template]:
    return TypeAdapter(Template)


def _with_names(name: str, table: Mapping[str, object]) -> dict[str, object]:
    given = {**table, "name": name, "parameters": _named(table.get("parameters", {}))}
    given.pop("prompt", None)
    return given


def _named(section: object) -> object:
    """`{name: {...}}` as a list whose entries know their names, at both levels."""
    if not isinstance(section, dict):
        return section
    entries = []
    for name, entry in section.items():
        named = {**entry, "name": name} if isinstance(entry, dict) else {"name": name}
        if "fields" in named:
            named["fields"] = _named(named["fields"])
        entries.append(named)
    return entries


def _told(problem: Mapping[str, object], table: Mapping[str, object]) -> str:
    place = problem["loc"]
    path = [str(part) for part in place] if isinstance(place, tuple) else [str(place)]
    parameters = table.get("parameters")
    if path[0] == "parameters" and len(path) > 1 and isinstance(parameters, dict):
        path[1] = list(parameters)[int(path[1])]
    message = str(problem["msg"])
    return f"{'.'.join(path)}: {message[:1].lower()}{message[1:]}"


class _Bound:
    """A template being held against its workflow; collects what doesn't fit."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._problems: list[str] = []

    def template(self, written: Template) -> Template:
        bound = replace(
            written,
            prompt=self._prompt,
            outputs=tuple(self._node(node, "outputs") for node in written.outputs),
            parameters=tuple(self._parameter(parameter) for parameter in written.parameters),
        )
        if not written.outputs:
            self._problems.append("outputs: name the nodes whose files are the result")
        if self._problems:
            raise TemplateError(written.name, self._problems)
        return bound

    def _parameter(self, written: Parameter) -> Parameter:
        place = f"parameters.{written.name}"
        bound = replace(
            written,
            sets=tuple(self._target(target, place) for target in written.sets),
            without=tuple(self._node(node, place) for node in written.without),
            chain=written.chain
            and replace(written.chain, links=tuple(self._link(link, place) for link in written.chain.links)),
        )
        bound = self._with_default(bound)
        self._problems += [f"{place}: {problem}" for problem in _complaints(bound)]
        return bound

    def _with_default(self, parameter: Parameter) -> Parameter:
        """A file that the workflow names lies on its author's machine, so it is no default."""
        if parameter.type is ParameterKind.LIST:
            return parameter if parameter.required or parameter.default is not None else replace(parameter, default=[])
        if (
            parameter.default is not None
            or parameter.required
            or parameter.without
            or parameter.type is ParameterKind.SEED
        ):
            return parameter
        if parameter.type.is_file:
            return replace(parameter, required=True)
        first = next(iter(parameter.sets), None)
        if first is None or first.computes or not first.node:
            return parameter
        found = self._prompt[first.node]["inputs"][first.input]
        return parameter if is_link(found) else replace(parameter, default=found)

    def _target(self, target: ParameterTarget, place: str) -> ParameterTarget:
        try:
            node, name = find_input(self._prompt, target.to)
        except PromptError as error:
            self._problems.append(f"{place}: {_sentence(error)}")
            return target
        return replace(target, node=node, input=name)

    def _link(self, link: ChainLink, place: str) -> ChainLink:
        return replace(link, source=self._node(link.source, place))

    def _node(self, name: str, place: str) -> str:
        try:
            return find_node(self._prompt, name)
        except PromptError as error:
            self._problems.append(f"{place}: {_sentence(error)}")
            return name


def _sentence(error: PromptError) -> str:
    return f"{error.message} {error.suggestion}" if error.suggestion else error.message


def _complaints(parameter: Parameter) -> Iterator[str]:
    """What can't be meant, whatever the workflow is."""
    if parameter.type is ParameterKind.LIST:
        yield from _list_complaints(parameter)
    elif not parameter.sets and not parameter.without:
        yield "it sets nothing: name inputs in `sets`"
    if parameter.type is ParameterKind.CHOICE and not parameter.choices:
        yield "a choice needs `choices`"
    if any(target.computes for target in parameter.sets) and not parameter.type.is_number:
        yield "only a number can be computed with"
    if (parameter.minimum is not None or parameter.maximum is not None) and not parameter.type.is_number:
        yield "only a number has a range"
    if (
        not (parameter.required or parameter.without or parameter.type is ParameterKind.SEED)
        and parameter.default is None
    ):
        yield "it needs a default, or `required = true`"
    if parameter.default is not None and (problem := value_problem(parameter, parameter.default)):
        yield f"its default {problem.message}"


def _list_complaints(parameter: Parameter) -> Iterator[str]:
    if parameter.chain is None or not parameter.fields:
        yield "a list needs `fields` and a `chain`"
        return
    known = {field.name for field in parameter.fields}
    unknown = {name for name in map(referenced_field, parameter.chain.inputs.values()) if name} - known
    if unknown:
        yield f"the chain uses {', '.join(sorted(unknown))}, which no item has"
    if any(field.type is ParameterKind.LIST for field in parameter.fields):
        yield "a list can't hold lists"


def referenced_field(value: Json) -> str | None:
    """The item's field that stands for a chain's input, written `$field`."""
    return value[1:] if isinstance(value, str) and value.startswith("$") else None
