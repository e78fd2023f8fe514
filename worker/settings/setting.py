"""One setting: its environment variable, its default and the sentence that documents it."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from worker.errors import StartupError

TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def setting(env: str, default: Any, help_text: str, *also: str, flat: str = "") -> Any:  # noqa: ANN401 - as dataclasses.field is typed
    """Return a field of a group of settings, with its environment variable and the sentence that documents it.

    `also`: other names of the variable, read in this order where `env` is not set. `flat`: the setting's name among all
    settings, where it differs from its name in the group.
    """
    return dataclasses.field(default=default, metadata={"env": env, "help": help_text, "also": also, "flat": flat})


def parse(kind: Any, env: str, text: str) -> Any:  # noqa: ANN401 - kind is a field's annotation
    """Return the text of a variable as a field's type. Raises StartupError naming both."""
    if isinstance(kind, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    if kind is bool:
        if text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        raise StartupError(f"{env}={text!r} is not a bool: use true or false")
    if isinstance(kind, type) and issubclass(kind, Enum) and text not in [member.value for member in kind]:
        raise StartupError(f"{env}={text!r} is none of {', '.join(member.value for member in kind)}")
    try:
        return kind(text)
    except ValueError as error:
        raise StartupError(f"{env}={text!r} is not a valid {kind.__name__}") from error
