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
    """Return the template with the decoded workflow and the decoded TOML file `table`.

    Titles of nodes are replaced by ids. Missing defaults are taken from the workflow. Raises TemplateError, which lists
    all problems.
    """
    try:
        prompt = parse_prompt(workflow)
        template = _adapter().validate_python(_with_names(name, table))
    except PromptError as error:
        raise TemplateError(name, [error.message]) from error
    except ValidationError as error:
        raise TemplateError(name, [_validation_message(problem, table) for problem in error.errors()]) from error
    return _TemplateBinder(prompt).bind(template)


@cache
def _adapter() -> TypeAdapter[Template]:
    """Return pydantic's validator of a template. It is built at its first use, because that takes some time."""
    return TypeAdapter(Template)


def _with_names(name: str, table: Mapping[str, object]) -> dict[str, object]:
    """Return the TOML file with the names of the template and of its parameters as fields `name`."""
    named_table = {**table, "name": name, "parameters": _entries_with_names(table.get("parameters", {}))}
    named_table.pop("prompt", None)  # the workflow only comes from the JSON file
    return named_table


def _entries_with_names(section: object) -> object:
    """Return `{name: {...}}` as a list of entries with a field `name`, also for the `fields` of each entry."""
    if not isinstance(section, dict):
        return section
    entries = []
    for name, entry in section.items():
        named = {**entry, "name": name} if isinstance(entry, dict) else {"name": name}
        if "fields" in named:
            named["fields"] = _entries_with_names(named["fields"])
        entries.append(named)
    return entries


def _validation_message(problem: Mapping[str, object], table: Mapping[str, object]) -> str:
    """Return an error of pydantic as text with its path in the TOML file, such as "parameters.steps.type: ..."."""
    location = problem["loc"]
    path = [str(part) for part in location] if isinstance(location, tuple) else [str(location)]
    parameters = table.get("parameters")
    if path[0] == "parameters" and len(path) > 1 and isinstance(parameters, dict):
        path[1] = list(parameters)[int(path[1])]  # an index, because pydantic got a list of parameters
    message = str(problem["msg"])
    return f"{'.'.join(path)}: {message[:1].lower()}{message[1:]}"


class _TemplateBinder:
    """Resolves the node names of a template in its workflow, and collects all problems."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._problems: list[str] = []

    def bind(self, parsed: Template) -> Template:
        """Return the template with ids in place of node names, and with defaults.

        Raises TemplateError if there are problems.
        """
        resolved = replace(
            parsed,
            prompt=self._prompt,
            outputs=tuple(self._node_id(node, "outputs") for node in parsed.outputs),
            parameters=tuple(self._resolved_parameter(parameter) for parameter in parsed.parameters),
        )
        if not parsed.outputs:
            self._problems.append("outputs: name the nodes whose files are the result")
        if self._problems:
            raise TemplateError(parsed.name, self._problems)
        return resolved

    def _resolved_parameter(self, parsed: Parameter) -> Parameter:
        """Return the parameter with ids in place of node names, and with its default. Record its problems."""
        path = f"parameters.{parsed.name}"
        chain = parsed.chain
        if chain is not None:
            chain = replace(chain, links=tuple(self._resolved_link(link, path) for link in chain.links))
        resolved = replace(
            parsed,
            sets=tuple(self._resolved_target(target, path) for target in parsed.sets),
            without=tuple(self._node_id(node, path) for node in parsed.without),
            chain=chain,
        )
        resolved = self._with_default(resolved)
        self._problems += [f"{path}: {problem}" for problem in _parameter_problems(resolved)]
        return resolved

    def _with_default(self, parameter: Parameter) -> Parameter:
        """Return the parameter with a default from the workflow, if it needs one and the workflow has one.

        A list is empty by default. A file parameter becomes required instead, because the file exists only on the
        machine of the author.
        """
        if parameter.type is ParameterKind.LIST:
            return parameter if parameter.required or parameter.default is not None else replace(parameter, default=[])
        if parameter.default is not None or not _needs_default(parameter):
            return parameter
        if parameter.type.is_file:
            return replace(parameter, required=True)
        first = next(iter(parameter.sets), None)
        if first is None or first.computes or not first.node:  # `node` is empty if the workflow has no such node
            return parameter
        value = self._prompt[first.node]["inputs"][first.input]
        return parameter if is_link(value) else replace(parameter, default=value)

    def _resolved_target(self, target: ParameterTarget, path: str) -> ParameterTarget:
        """Return the target with its node id and input. If there is no such input, record a problem for `path`."""
        try:
            node, name = find_input(self._prompt, target.to)
        except PromptError as error:
            self._problems.append(f"{path}: {_message_with_suggestion(error)}")
            return target
        return replace(target, node=node, input=name)

    def _resolved_link(self, link: ChainLink, path: str) -> ChainLink:
        """Return the link with the id of its source. If there is no such node, record a problem for `path`."""
        return replace(link, source=self._node_id(link.source, path))

    def _node_id(self, name: str, path: str) -> str:
        """Return the id of the node with this id or title. If there is none, record a problem and return `name`."""
        try:
            return find_node(self._prompt, name)
        except PromptError as error:
            self._problems.append(f"{path}: {_message_with_suggestion(error)}")
            return name


def _message_with_suggestion(error: PromptError) -> str:
    """Return the message of an error, with its suggestion if it has one."""
    return f"{error.message} {error.suggestion}" if error.suggestion else error.message


def _needs_default(parameter: Parameter) -> bool:
    """Return whether a request may omit the parameter although the workflow needs a value for it.

    Without a value, the nodes in `without` are removed, and a seed is drawn: such parameters need no default.
    """
    if parameter.required or parameter.without:
        return False
    return parameter.type is not ParameterKind.SEED


def _parameter_problems(parameter: Parameter) -> Iterator[str]:
    """Yield the problems of a parameter that do not depend on the workflow."""
    if parameter.type is ParameterKind.LIST:
        yield from _list_problems(parameter)
    elif not parameter.sets and not parameter.without:
        yield "it sets no input; name inputs in `sets`"
    if parameter.type is ParameterKind.CHOICE and not parameter.choices:
        yield "a choice needs `choices`, the list of its values"
    if any(target.computes for target in parameter.sets) and not parameter.type.is_number:
        yield "`times` and `plus` are only valid for a number"
    if (parameter.minimum is not None or parameter.maximum is not None) and not parameter.type.is_number:
        yield "`minimum` and `maximum` are only valid for a number"
    if _needs_default(parameter) and parameter.default is None:
        yield "it needs a default, or `required = true`"
    problem = None if parameter.default is None else value_problem(parameter, parameter.default)
    if problem is not None:
        yield f"its default {problem.message}"


def _list_problems(parameter: Parameter) -> Iterator[str]:
    """Yield the problems of a list parameter."""
    if parameter.chain is None or not parameter.fields:
        yield "a list needs `fields` and a `chain`"
        return
    names = {field.name for field in parameter.fields}
    references = map(referenced_field, parameter.chain.inputs.values())
    unknown = {reference for reference in references if reference} - names
    if unknown:
        yield f"the chain uses the unknown fields {', '.join(sorted(unknown))}"
    if any(field.type is ParameterKind.LIST for field in parameter.fields):
        yield "a list cannot contain lists"


def referenced_field(value: Json) -> str | None:
    """Return the name of the item field that a chain input `$field` refers to, or None."""
    return value[1:] if isinstance(value, str) and value.startswith("$") else None
