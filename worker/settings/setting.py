"""One setting: its environment variable, its default and its help text."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from enum import Enum
from typing import Any

from worker.errors import StartupError

TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def setting(env: str, default: Any, help_text: str, *also: str, flat: str = "") -> Any:  # noqa: ANN401 - as dataclasses.field is typed
    """Return a dataclass field for one setting.

    `env` is its environment variable. `also` are further names of the variable, tried in this order if `env` is not
    set. `flat` is the name of the setting among all settings, if it differs from the name of the field.
    """
    return dataclasses.field(default=default, metadata={"env": env, "help": help_text, "also": also, "flat": flat})


def parse(kind: Any, env: str, text: str) -> Any:  # noqa: ANN401 - kind is a field's annotation
    """Return the text of an environment variable as a value of the type `kind`. `X | None` is read as `X`.

    A number is finite and not negative. Raises StartupError with variable and text.
    """
    if isinstance(kind, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    if kind is bool:
        if text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        raise StartupError(f"{env}={text!r} is not a boolean: use true or false")
    if isinstance(kind, type) and issubclass(kind, Enum) and text not in [member.value for member in kind]:
        raise StartupError(f"{env}={text!r} is none of {', '.join(member.value for member in kind)}")
    try:
        value = kind(text)
    except ValueError as error:
        raise StartupError(f"{env}={text!r} is not a valid {kind.__name__}") from error
    if isinstance(value, int | float) and not 0 <= value < math.inf:  # False for NaN too
        raise StartupError(f"{env}={text!r} is out of range: use a number that is at least 0")
    return value
