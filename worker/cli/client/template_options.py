"""A template's parameters as options of a command, and what was given for them as values."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from worker.workflow.templates.template import Parameter, ParameterKind, Template
from worker.workflow.templates.value import SOURCE, number_range

PANEL = "Parameters"
LONGEST = 40
"""Characters of a default that are shown."""

PREFIX = "param_"
"""Before the name of a parameter that is called like one of the command's own."""

TYPES: dict[ParameterKind, Any] = {
    ParameterKind.INTEGER: int,
    ParameterKind.SEED: int,
    ParameterKind.NUMBER: float,
    ParameterKind.BOOLEAN: bool,
    ParameterKind.LIST: list[str],
}
Command = Callable[..., None]
Call = Callable[[dict[str, Any], dict[str, Any]], None]


def with_options(command: Command, template: Template, call: Call) -> Command:
    """A command with the parameters of `command` and of a template: it gives `call` the template's, then the others.

    Typer reads its signature and its docstring; it is never told what was not given.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    names = _names(template, {one.name for one in own} | {"set", "input", "json", "help"})
    added = [_option(parameter, names[parameter.name]) for parameter in template.parameters]

    def called(**given: Any) -> None:  # noqa: ANN401 - as Typer gives them
        params = {name: given.pop(option) for name, option in names.items()}
        call({name: value for name, value in params.items() if value not in (None, [])}, given)

    called.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*own, *added)}
    called.__doc__ = f"{template.title}.\n\n{template.about}"
    return called


def _names(template: Template, taken: set[str]) -> dict[str, str]:
    return {name: f"{PREFIX}{name}" if name in taken else name for name in template.by_name}


def _option(parameter: Parameter, name: str) -> inspect.Parameter:
    # Typer prints help as markup, and no default but the signature's, which is None here.
    help_text = escape(f"{parameter.description} {_shown(parameter)}".rstrip())
    option = typer.Option(_flag(parameter, name), help=help_text, rich_help_panel=PANEL, **_written(parameter))
    annotation = Annotated[_type(parameter) | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(parameter: Parameter, name: str) -> str:
    flag = name.replace("_", "-")
    return f"--{flag}/--no-{flag}" if parameter.type is ParameterKind.BOOLEAN else f"--{flag}"


def _type(parameter: Parameter) -> Any:  # noqa: ANN401 - a type, for Typer
    if parameter.type is ParameterKind.CHOICE:
        return Literal[parameter.choices]
    return TYPES.get(parameter.type, str)


def _written(parameter: Parameter) -> dict[str, Any]:
    """How Typer shows the value, and the range that it holds."""
    if parameter.type in {ParameterKind.INTEGER, ParameterKind.NUMBER}:
        number = TYPES[parameter.type]
        low, high = number_range(parameter)
        return {"min": low if low is None else number(low), "max": high if high is None else number(high)}
    if parameter.type is ParameterKind.LIST:
        first, *others = (field.name.upper() for field in parameter.fields)
        return {"metavar": first + "".join(f"[:{name}]" for name in others)}
    return {"metavar": "FILE|URL"} if parameter.type.is_file else {}


def _shown(parameter: Parameter) -> str:
    if parameter.required:
        return "[required]"
    if parameter.type is ParameterKind.SEED or parameter.default is None or parameter.default in ([], ""):
        return ""
    text = str(parameter.default).lower() if parameter.type is ParameterKind.BOOLEAN else str(parameter.default)
    return f"[default: {text if len(text) <= LONGEST else f'{text[: LONGEST - 3]}...'}]"


def read_values(template: Template, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values as `fill` takes them: files read, items of lists taken apart. Raises typer.BadParameter."""
    return {name: _value(template.by_name[name], value) for name, value in given.items()}


def _value(parameter: Parameter, value: Any) -> Any:  # noqa: ANN401 - JSON
    if parameter.type is ParameterKind.LIST:
        return [_item(parameter, text) for text in value]
    return _file(parameter, value) if parameter.type.is_file else value


def _file(parameter: Parameter, value: str) -> str:
    if SOURCE.match(value):
        return value
    try:
        return base64.b64encode(Path(value).read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--{parameter.name} {value}: {(error.strerror or str(error)).lower()}") from error


def _item(parameter: Parameter, text: str) -> dict[str, Any]:
    """`NAME[:STRENGTH]`: the fields in their order."""
    parts = text.split(":")
    fields = parameter.fields
    if len(parts) > len(fields):
        raise typer.BadParameter(f"--{parameter.name} {text}: write {':'.join(field.name for field in fields)}")
    return {field.name: _typed(parameter, field, part) for field, part in zip(fields, parts, strict=False)}


def _typed(parameter: Parameter, field: Parameter, text: str) -> str | float:
    if not field.type.is_number:
        return text
    try:
        return float(text) if field.type is ParameterKind.NUMBER else int(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{parameter.name}: {field.name} has to be a number, not {text!r}") from error


def named_template(arguments: Sequence[str], names: Collection[str]) -> str | None:
    """The first argument that is one of these names, and no option's value."""
    before = ""
    for argument in arguments:
        if argument in names and not (before.startswith("--") and "=" not in before and before != "--json"):
            return argument
        before = argument
    return None
