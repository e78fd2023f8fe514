"""Checks an object of the Grafana Foundation SDK against the types that the SDK declares for it."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator

MODELS = "grafana_foundation_sdk.models."


def wrong_types(value: object, kind: object, where: str) -> Iterator[str]:
    """Yield the path of each part of a value that is not of the declared type. The SDK itself accepts any value."""
    if type(value).__module__.startswith(MODELS) and not isinstance(value, enum.Enum):
        if isinstance(kind, type) and not isinstance(value, kind):
            yield f"{where} is {value!r}"
        for name, declared in typing.get_type_hints(type(value)).items():
            yield from wrong_types(getattr(value, name), declared, f"{where}.{name}")
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        choices = [list(wrong_types(value, choice, where)) for choice in typing.get_args(kind)]
        yield from min(choices, key=len)
    elif typing.get_origin(kind) is list and isinstance(value, list):
        [item_kind] = typing.get_args(kind)
        for number, item in enumerate(value):
            yield from wrong_types(item, item_kind, f"{where}[{number}]")
    elif not _fits(value, kind):
        yield f"{where} is {value!r}"


def _fits(value: object, kind: object) -> bool:
    """Return whether a value without parts is of a type."""
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in list(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, typing.get_origin(kind) or kind)  # type: ignore[arg-type]
