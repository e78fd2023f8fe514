"""Numbers and texts as JavaScript has them: what the editor sends has passed through its JSON.stringify."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from worker.errors import CannotConvert
from worker.workflow.json_value import Json

_EXACT = 2**53
_LONGEST = 2**64
_PLAIN = 1e21


DEEPEST = 100


def as_sent(value: Json, depth: int = 0) -> Json:
    """The value as it comes out of JSON.stringify: 8.0 is 8, and integers beyond 2**53 lose their last digits.

    Integers that no 64 bits hold stay floats, because the rest of the worker writes none. Raises CannotConvert for
    lists in lists that nobody means.
    """
    if depth > DEEPEST:
        raise CannotConvert(f"a value of the workflow is nested more than {DEEPEST} deep")
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list):
        return [as_sent(item, depth + 1) for item in value]
    return {key: as_sent(item, depth + 1) for key, item in value.items()}


def _number(value: float) -> Json:
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return value
    try:
        double = float(value)
    except OverflowError:
        return None
    if not math.isfinite(double):
        return None
    if not double.is_integer() or abs(double) >= _PLAIN:
        return double
    whole = int(Decimal(repr(double)))
    return whole if abs(whole) < _LONGEST // 2 or 0 < whole < _LONGEST else double


def stringify(value: Mapping[str, object], indent: int | None = None) -> str:
    """JSON text in which numbers below 1e21 have no exponent, as a browser writes it. Raises CannotConvert."""
    return json.dumps(_spelled(cast("Json", value)), ensure_ascii=False, indent=indent)


def _spelled(value: Json, depth: int = 0) -> Json:
    if depth > DEEPEST + 10:
        raise CannotConvert(f"a value of the workflow is nested more than {DEEPEST} deep")
    if isinstance(value, float):
        return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _PLAIN else value
    if isinstance(value, list):
        return [_spelled(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _spelled(item, depth + 1) for key, item in value.items()}
    return value


def as_text(value: Json) -> str:
    """`value + ""`; of lists in lists only the outer one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None or isinstance(item, list) else as_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return json.dumps(_spelled(as_sent(value)))


def as_number(value: Json) -> float | None:
    """`Number(value)`; None where that is not a finite number."""
    if value is None:
        return 0.0
    if isinstance(value, str):
        return _parsed(value.strip())
    if isinstance(value, int | float):
        try:
            double = float(value)
        except OverflowError:
            return None
        return double if math.isfinite(double) else None
    return None


def _parsed(text: str) -> float | None:
    if not text:
        return 0.0
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def round_half_up(number: float) -> float:
    """`Math.round`."""
    return math.floor(number + 0.5) if abs(number) < _EXACT // 2 else number


def remainder(number: float, divisor: float) -> float:
    """`number % divisor`: the sign is the number's."""
    return math.fmod(number, divisor) if divisor and math.isfinite(number) else 0.0


def to_fixed(number: float, decimals: int) -> float:
    """`Number(number.toFixed(decimals))`."""
    if not math.isfinite(number) or abs(number) >= _PLAIN:
        return number
    return float(Decimal(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


def lcm(one: float, other: float) -> float:
    """The least step that is a multiple of both."""
    a, b = abs(one), abs(other)
    greatest, rest = a, b
    for _ in range(200):
        if rest <= 1e-12:
            break
        greatest, rest = rest, math.fmod(greatest, rest)
    return a * b / greatest if greatest else max(a, b)
