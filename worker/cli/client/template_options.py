"""A template's parameters as options of `comfy-worker run`, and the values of those options."""

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
MAX_DEFAULT = 40
"""Characters of a default value that the help shows."""

PREFIX = "param_"
"""The prefix of an option whose parameter has the name of one of the command's own options."""

TYPES: dict[ParameterKind, Any] = {
    ParameterKind.INTEGER: int,
    ParameterKind.SEED: int,
    ParameterKind.NUMBER: float,
    ParameterKind.BOOLEAN: bool,
    ParameterKind.LIST: list[str],
}
EXAMPLE_FILES = {
    ParameterKind.IMAGE: "photo.png",
    ParameterKind.VIDEO: "clip.mp4",
    ParameterKind.AUDIO: "speech.wav",
}
Command = Callable[..., None]
RunFunction = Callable[[dict[str, Any], dict[str, Any]], None]


def with_options(command: Command, template: Template, run: RunFunction) -> Command:
    """Return a command with the options of `command` and of a template.

    It calls `run` with the template's values that the command line has, and with the values of all other options. Typer
    reads the signature and the docstring of the returned function.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    # These flags of the command have other names than its parameters.
    names = _option_names(template, {parameter.name for parameter in own} | {"set", "input", "json", "help"})
    added = [_option(parameter, names[parameter.name]) for parameter in template.parameters]

    def run_template(**values: Any) -> None:  # noqa: ANN401 - Typer's values
        params = {name: values.pop(option) for name, option in names.items()}
        provided = {name: value for name, value in params.items() if value not in (None, [])}
        run(provided, values)

    run_template.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    run_template.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
    run_template.__doc__ = f"{template.title}.\n\n{template.about}"
    run_template.examples = (example(template, names),)  # type: ignore[attr-defined]
    return run_template


def example(template: Template, names: Mapping[str, str]) -> str:
    """Return a command line that runs the template, with its required parameters and its prompt.

    `names` are the names of the options by the parameters' names.
    """
    shown = [parameter for parameter in template.parameters if parameter.required or parameter.name == "prompt"]
    values = [(parameter, f"--{names[parameter.name].replace('_', '-')}") for parameter in shown]
    options = [
        flag if parameter.type is ParameterKind.BOOLEAN else f"{flag} {_example_value(parameter)}"
        for parameter, flag in values
    ]
    return " ".join(("comfy-worker run", template.name, *options))


def _example_value(parameter: Parameter) -> str:
    """Return a value of the parameter as it is typed on a command line."""
    if parameter.type in EXAMPLE_FILES:
        return EXAMPLE_FILES[parameter.type]
    if parameter.type is ParameterKind.LIST:
        return "NAME"
    if parameter.type is ParameterKind.CHOICE:
        return str(parameter.choices[0])
    return str(parameter.minimum or 1) if parameter.type.is_number else "'a harbour'"


def _option_names(template: Template, reserved: set[str]) -> dict[str, str]:
    """Return the name of the option for each parameter. It differs from the parameter's name if that is reserved."""
    return {name: f"{PREFIX}{name}" if name in reserved else name for name in template.by_name}


def _option(parameter: Parameter, name: str) -> inspect.Parameter:
    """Return the option for a template's parameter, as Typer reads it from the signature of a command."""
    # Typer reads help as markup. It would print only the default of the signature, which is None here.
    help_text = escape(f"{parameter.description} {_default_text(parameter)}".rstrip())
    option = typer.Option(_flag(parameter, name), help=help_text, rich_help_panel=PANEL, **_value_format(parameter))
    annotation = Annotated[_type(parameter) | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(parameter: Parameter, name: str) -> str:
    """Return the option as it is typed: `--name`, or `--name/--no-name` for a boolean."""
    flag = name.replace("_", "-")
    return f"--{flag}/--no-{flag}" if parameter.type is ParameterKind.BOOLEAN else f"--{flag}"


def _type(parameter: Parameter) -> Any:  # noqa: ANN401 - a type, for Typer
    """Return the Python type by which Typer converts the option's value."""
    if parameter.type is ParameterKind.CHOICE:
        return Literal[parameter.choices]
    return TYPES.get(parameter.type, str)


def _value_format(parameter: Parameter) -> dict[str, Any]:
    """Return the arguments of `typer.Option` for the range of a value, or for its name in the help."""
    if parameter.type in {ParameterKind.INTEGER, ParameterKind.NUMBER}:
        number = TYPES[parameter.type]
        low, high = number_range(parameter)
        return {"min": low if low is None else number(low), "max": high if high is None else number(high)}
    if parameter.type is ParameterKind.LIST:
        first, *others = (field.name.upper() for field in parameter.fields)
        return {"metavar": first + "".join(f"[:{name}]" for name in others)}
    return {"metavar": "FILE|URL"} if parameter.type.is_file else {}


def _default_text(parameter: Parameter) -> str:
    """Return the end of an option's help text: its default, `[required]`, or an empty text."""
    if parameter.required:
        return "[required]"
    if parameter.type is ParameterKind.SEED or parameter.default is None or parameter.default in ([], ""):
        return ""
    text = str(parameter.default).lower() if parameter.type is ParameterKind.BOOLEAN else str(parameter.default)
    return f"[default: {text if len(text) <= MAX_DEFAULT else f'{text[: MAX_DEFAULT - 3]}...'}]"


def read_values(template: Template, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options' values as `fill` accepts them, with base64 in place of file names, and with parsed lists.

    Raises typer.BadParameter.
    """
    return {name: _value(template.by_name[name], value) for name, value in options.items()}


def _value(parameter: Parameter, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the value for the parameter from the value of its option. Raises typer.BadParameter."""
    if parameter.type is ParameterKind.LIST:
        return [_item(parameter, text) for text in value]
    return _file(parameter, value) if parameter.type.is_file else value


def _file(parameter: Parameter, value: str) -> str:
    """Return a URL unchanged, and the content of a file as base64. Raises typer.BadParameter."""
    if SOURCE.match(value):
        return value
    try:
        return base64.b64encode(Path(value).read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--{parameter.name} {value}: {(error.strerror or str(error)).lower()}") from error


def _item(parameter: Parameter, text: str) -> dict[str, Any]:
    """Return the fields of a list item from a text such as `NAME[:STRENGTH]`. Raises typer.BadParameter."""
    parts = text.split(":")
    fields = parameter.fields
    if len(parts) > len(fields):
        raise typer.BadParameter(
            f"--{parameter.name} {text}: write the value as {':'.join(field.name for field in fields)}"
        )
    return {field.name: _typed(parameter, field, part) for field, part in zip(fields, parts, strict=False)}


def _typed(parameter: Parameter, field: Parameter, text: str) -> str | float:
    """Return the text of one field of a list item, as a number if the field is one. Raises typer.BadParameter."""
    if not field.type.is_number:
        return text
    try:
        return float(text) if field.type is ParameterKind.NUMBER else int(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{parameter.name}: {field.name} has to be a number, not {text!r}") from error


def named_template(arguments: Sequence[str], names: Collection[str]) -> str | None:
    """Return the first argument that is one of these names and not the value of an option, or None."""
    previous = ""
    for argument in arguments:
        # Of the flags without a value, only --json may stand before the template's name.
        is_option_value = previous.startswith("--") and "=" not in previous and previous != "--json"
        if argument in names and not is_option_value:
            return argument
        previous = argument
    return None
