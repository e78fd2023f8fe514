"""Checks the value of a parameter, and describes valid values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from worker.errors import ValueProblem
from worker.workflow.nearest import did_you_mean
from worker.workflow.templates.template import Parameter, ParameterKind

SEED_MAX = 2**53 - 1
"""Largest integer that every JSON parser reads exactly. ComfyUI itself accepts seeds up to 2**64 - 1."""
LARGEST = 2**64
"""Largest number of ComfyUI. Larger Python integers would lose precision when compared as floats."""
SOURCE = re.compile(r"[a-z][a-z0-9+.-]*://|\s*data:[^,]{0,200};\s*base64\s*,", re.ASCII | re.IGNORECASE)
FILE_NAME = re.compile(r"[^/\\\x00-\x1f]{1,195}\.[A-Za-z0-9]{1,5}")
BASE64 = re.compile(r"[A-Za-z0-9+/_\r\n-]{16,}={0,2}\s*", re.ASCII)


def value_problem(parameter: Parameter, value: Any) -> ValueProblem | None:  # noqa: ANN401 - JSON
    """Return the first problem of a value, or None if it is valid."""
    return next(value_problems(parameter, value), None)


def value_problems(parameter: Parameter, value: Any, path: str = "") -> Iterator[ValueProblem]:  # noqa: ANN401 - JSON
    """Yield all problems of a value. `path` is its path in `params`, by default the parameter's name."""
    path = path or parameter.name
    if parameter.type is ParameterKind.LIST:
        yield from _list_problems(parameter, value, path)
        return
    message = _value_message(parameter, value)
    if message:
        yield ValueProblem(message, valid_value_hint(parameter), path)


def _list_problems(parameter: Parameter, value: Any, path: str) -> Iterator[ValueProblem]:  # noqa: ANN401 - JSON
    """Yield the problems of a list and of its items."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        yield ValueProblem(f"must be a list, not {_short(value)}", valid_value_hint(parameter), path)
        return
    if len(value) > parameter.items_max:
        yield ValueProblem(
            f"has {len(value)} items, more than {parameter.items_max}", valid_value_hint(parameter), path
        )
    for index, item in enumerate(value):
        item_path = f"{path}.{index}"
        if not isinstance(item, dict):
            yield ValueProblem(f"must be an object, not {_short(item)}", valid_value_hint(parameter), item_path)
        else:
            yield from _item_problems(parameter, item, item_path)


def _item_problems(parameter: Parameter, item: dict[str, Any], path: str) -> Iterator[ValueProblem]:
    """Yield the problems of one item of a list."""
    fields = {field.name: field for field in parameter.fields}
    for name in item:
        if name not in fields:
            hint = did_you_mean(name, fields) or f"Known fields: {', '.join(fields)}."
            yield ValueProblem(f"has no field {name!r}", hint, f"{path}.{name}")
    for name, field in fields.items():
        if name in item:
            yield from value_problems(field, item[name], f"{path}.{name}")
        elif field.default is None:
            yield ValueProblem("is missing", valid_value_hint(field), f"{path}.{name}")


def _value_message(parameter: Parameter, value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return what is wrong with a value that is no list, or None.

    The text continues a sentence that starts with the name of the parameter: "must be a string, not 5".
    """
    if parameter.type.is_number:
        return _number_message(parameter, value)
    if parameter.type is ParameterKind.BOOLEAN:
        return None if isinstance(value, bool) else f"must be true or false, not {_short(value)}"
    if not isinstance(value, str):
        return f"must be a string, not {_short(value)}"
    return _text_message(parameter, value)


def _text_message(parameter: Parameter, value: str) -> str | None:
    """Return what is wrong with a string, or None. The text continues a sentence, as in `_value_message`."""
    if parameter.type is ParameterKind.CHOICE:
        return None if value in parameter.choices else f"cannot be {_short(value)}"
    if parameter.type.is_file:
        fits = SOURCE.match(value) or FILE_NAME.fullmatch(value) or BASE64.fullmatch(value)
        return None if fits else f"cannot be {_short(value)}"
    if len(value) > parameter.max_length:
        return f"has {len(value)} characters, more than {parameter.max_length}"
    return None


def _number_message(parameter: Parameter, value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return what is wrong with a number, or None. The text continues a sentence, as in `_value_message`."""
    kind = "a number" if parameter.type is ParameterKind.NUMBER else "an integer"
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST < value < LARGEST:
        return f"must be {kind}, not {_short(value)}"
    if parameter.type is not ParameterKind.NUMBER and value != int(value):
        return f"must be {kind}, not {value}"
    low, high = number_range(parameter)
    if low is not None and value < low:
        return f"is {value:g}, less than {low:g}"
    if high is not None and value > high:
        return f"is {value:g}, more than {high:g}"
    quotient = value / parameter.multiple_of if parameter.multiple_of else 0
    if parameter.multiple_of and abs(quotient - round(quotient)) > 1e-9:  # allows for rounding of floats
        return f"is {value:g}, not a multiple of {parameter.multiple_of:g}"
    return None


def number_range(parameter: Parameter) -> tuple[float | None, float | None]:
    """Return (smallest, largest) valid number, both inclusive. None means no limit."""
    if parameter.type is ParameterKind.SEED:
        return parameter.minimum or 0, SEED_MAX if parameter.maximum is None else parameter.maximum
    return parameter.minimum, parameter.maximum


def valid_value_hint(parameter: Parameter) -> str:
    """Return one sentence that describes the valid values of a parameter."""
    match parameter.type:
        case ParameterKind.CHOICE:
            return f"Use one of {', '.join(parameter.choices)}."
        case ParameterKind.BOOLEAN:
            return "Use true or false."
        case ParameterKind.LIST:
            fields = ", ".join(field.name for field in parameter.fields)
            return f"Use a list of at most {parameter.items_max} objects with {fields}."
        case ParameterKind.IMAGE | ParameterKind.VIDEO | ParameterKind.AUDIO:
            return "Use a URL, a data URI, base64, or the name of a file in the request."
        case ParameterKind.STRING:
            return f"Use a string of at most {parameter.max_length} characters."
    return f"Use {_number_description(parameter)}."


def _number_description(parameter: Parameter) -> str:
    """Return a description of the valid numbers, such as "an integer from 1 to 50"."""
    low, high = number_range(parameter)
    kind = "a number" if parameter.type is ParameterKind.NUMBER else "an integer"
    multiple = f", a multiple of {parameter.multiple_of:g}" if parameter.multiple_of else ""
    if low is not None and high is not None:
        return f"{kind} from {low:.16g} to {high:.16g}{multiple}"
    if low is not None:
        return f"{kind} of at least {low:.16g}{multiple}"
    if high is not None:
        return f"{kind} of at most {high:.16g}{multiple}"
    return f"{kind}{multiple}"


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value as short text for a message."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
