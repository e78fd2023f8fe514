"""Reads the TOML file of a template and checks it against the workflow. Reports all problems together."""

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
    """Return a template from its decoded JSON and TOML. Raises TemplateError, which lists all problems.

    Titles of nodes are replaced by ids. Missing defaults are taken from the workflow.
    """
    try:
        prompt = parse_prompt(workflow)
        template = _adapter().validate_python(_with_names(name, table))
    except PromptError as error:
        raise TemplateError(name, [error.message]) from error
    except ValidationError as error:
        raise TemplateError(name, [_message(problem, table) for problem in error.errors()]) from error
    return _TemplateBinder(prompt).bind(template)


@cache
def _adapter() -> TypeAdapter[Template]:
    return TypeAdapter(Template)


def _with_names(name: str, table: Mapping[str, object]) -> dict[str, object]:
    """Return the table with the names of the template and of its parameters as fields."""
    named_table = {**table, "name": name, "parameters": _named(table.get("parameters", {}))}
    named_table.pop("prompt", None)
    return named_table


def _named(section: object) -> object:
    """Return `{name: {...}}` as a list of entries with a field `name`, also for the `fields` of each entry."""
    if not isinstance(section, dict):
        return section
    entries = []
    for name, entry in section.items():
        named = {**entry, "name": name} if isinstance(entry, dict) else {"name": name}
        if "fields" in named:
            named["fields"] = _named(named["fields"])
        entries.append(named)
    return entries


def _message(problem: Mapping[str, object], table: Mapping[str, object]) -> str:
    """Return an error of pydantic as text, with the path in the TOML file."""
    location = problem["loc"]
    path = [str(part) for part in location] if isinstance(location, tuple) else [str(location)]
    parameters = table.get("parameters")
    if path[0] == "parameters" and len(path) > 1 and isinstance(parameters, dict):
        path[1] = list(parameters)[int(path[1])]
    message = str(problem["msg"])
    return f"{'.'.join(path)}: {message[:1].lower()}{message[1:]}"


class _TemplateBinder:
    """Resolves the node names of a template in its workflow, and collects all problems."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._problems: list[str] = []

    def bind(self, parsed: Template) -> Template:
        """Return the template with node ids. Raises TemplateError if there are problems."""
        bound = replace(
            parsed,
            prompt=self._prompt,
            outputs=tuple(self._node(node, "outputs") for node in parsed.outputs),
            parameters=tuple(self._parameter(parameter) for parameter in parsed.parameters),
        )
        if not parsed.outputs:
            self._problems.append("outputs: name the nodes whose files are the result")
        if self._problems:
            raise TemplateError(parsed.name, self._problems)
        return bound

    def _parameter(self, parsed: Parameter) -> Parameter:
        """Return a parameter with node ids and its default. Records its problems."""
        path = f"parameters.{parsed.name}"
        bound = replace(
            parsed,
            sets=tuple(self._target(target, path) for target in parsed.sets),
            without=tuple(self._node(node, path) for node in parsed.without),
            chain=parsed.chain
            and replace(parsed.chain, links=tuple(self._link(link, path) for link in parsed.chain.links)),
        )
        bound = self._with_default(bound)
        self._problems += [f"{path}: {problem}" for problem in _parameter_problems(bound)]
        return bound

    def _with_default(self, parameter: Parameter) -> Parameter:
        """Return the parameter with a default from the workflow.

        A file parameter becomes required instead, because the file exists only on the machine of the author.
        """
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
        value = self._prompt[first.node]["inputs"][first.input]
        return parameter if is_link(value) else replace(parameter, default=value)

    def _target(self, target: ParameterTarget, path: str) -> ParameterTarget:
        """Return a target with its node id and input. Records a problem if there is no such input."""
        try:
            node, name = find_input(self._prompt, target.to)
        except PromptError as error:
            self._problems.append(f"{path}: {_sentence(error)}")
            return target
        return replace(target, node=node, input=name)

    def _link(self, link: ChainLink, path: str) -> ChainLink:
        return replace(link, source=self._node(link.source, path))

    def _node(self, name: str, path: str) -> str:
        """Return the id of a node by its id or title. Records a problem if there is no such node."""
        try:
            return find_node(self._prompt, name)
        except PromptError as error:
            self._problems.append(f"{path}: {_sentence(error)}")
            return name


def _sentence(error: PromptError) -> str:
    return f"{error.message} {error.suggestion}" if error.suggestion else error.message


def _parameter_problems(parameter: Parameter) -> Iterator[str]:
    """Yield the problems of a parameter that do not depend on the workflow."""
    if parameter.type is ParameterKind.LIST:
        yield from _list_problems(parameter)
    elif not parameter.sets and not parameter.without:
        yield "it sets no input; name inputs in `sets`"
    if parameter.type is ParameterKind.CHOICE and not parameter.choices:
        yield "a choice needs `choices`"
    if any(target.computes for target in parameter.sets) and not parameter.type.is_number:
        yield "`times` and `plus` need a number"
    if (parameter.minimum is not None or parameter.maximum is not None) and not parameter.type.is_number:
        yield "`minimum` and `maximum` need a number"
    if (
        not (parameter.required or parameter.without or parameter.type is ParameterKind.SEED)
        and parameter.default is None
    ):
        yield "it needs a default, or `required = true`"
    if parameter.default is not None and (problem := value_problem(parameter, parameter.default)):
        yield f"its default {problem.message}"


def _list_problems(parameter: Parameter) -> Iterator[str]:
    """Yield the problems of a list parameter."""
    if parameter.chain is None or not parameter.fields:
        yield "a list needs `fields` and a `chain`"
        return
    names = {field.name for field in parameter.fields}
    unknown = {name for name in map(referenced_field, parameter.chain.inputs.values()) if name} - names
    if unknown:
        yield f"the chain uses the unknown fields {', '.join(sorted(unknown))}"
    if any(field.type is ParameterKind.LIST for field in parameter.fields):
        yield "a list cannot contain lists"


def referenced_field(value: Json) -> str | None:
    """Return the name of the item field that a chain input `$field` refers to, or None."""
    return value[1:] if isinstance(value, str) and value.startswith("$") else None
