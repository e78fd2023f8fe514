"""JavaScript's rules for numbers and texts, because every value that the editor sends passes through JSON.stringify."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from worker.errors import CannotConvert
from worker.workflow.json_value import Json

_MAX_SAFE_INTEGER = 2**53
_UINT64_END = 2**64
_EXPONENT_FROM = 1e21
"""JavaScript writes numbers from here on with an exponent."""

MAX_DEPTH = 100
"""Levels of nested lists and objects that a value may have."""


def to_json(value: Json, depth: int = 0) -> Json:
    """Return the value as JSON.stringify writes it: 8.0 becomes 8, and integers beyond 2**53 lose their last digits.

    Integers of more than 64 bits stay floats, because the rest of the worker cannot write them. Raises CannotConvert
    when the value is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise CannotConvert(f"a value of the workflow is nested more than {MAX_DEPTH} deep")
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return _number_to_json(value)
    if isinstance(value, list):
        return [to_json(item, depth + 1) for item in value]
    return {key: to_json(item, depth + 1) for key, item in value.items()}


def _number_to_json(value: float) -> Json:
    """Return a number as JSON.stringify writes it. NaN and infinity become None, which is JSON's null."""
    if isinstance(value, int) and -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return value
    try:
        double = float(value)
    except OverflowError:
        return None
    if not math.isfinite(double):
        return None
    if not double.is_integer() or abs(double) >= _EXPONENT_FROM:
        return double
    # JavaScript writes the shortest digits that identify the number, as `repr` does, and then zeros.
    integer = int(Decimal(repr(double)))
    fits_64_bits = -(_UINT64_END // 2) < integer < _UINT64_END
    return integer if fits_64_bits else double


def stringify(value: Mapping[str, object], indent: int | None = None) -> str:
    """Return JSON text in which numbers below 1e21 have no exponent, as in a browser.

    Raises CannotConvert when the value is nested too deep.
    """
    return json.dumps(_without_exponents(cast("Json", value)), ensure_ascii=False, indent=indent)


def _without_exponents(value: Json, depth: int = 0) -> Json:
    """Return the value with an integer in place of every whole float below 1e21.

    Raises CannotConvert if the value is nested too deep.
    """
    # More levels than `to_json` allows, because the values may be inside other objects, such as a prompt.
    if depth > MAX_DEPTH + 10:
        raise CannotConvert(f"a value of the workflow is nested more than {MAX_DEPTH} deep")
    if isinstance(value, float):
        return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _EXPONENT_FROM else value
    if isinstance(value, list):
        return [_without_exponents(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _without_exponents(item, depth + 1) for key, item in value.items()}
    return value


def to_js_string(value: Json) -> str:
    """Return JavaScript's `value + ""`: a list is joined by commas, and an object becomes `[object Object]`.

    A list inside a list becomes an empty text, unlike in JavaScript.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None or isinstance(item, list) else to_js_string(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return json.dumps(_without_exponents(to_json(value)))


def to_js_number(value: Json) -> float | None:
    """Return JavaScript's `Number(value)`. Return None if it is not a finite number, or for lists and objects."""
    if value is None:
        return 0.0
    if isinstance(value, str):
        return _parse_number(value.strip())
    if isinstance(value, int | float):
        try:
            double = float(value)
        except OverflowError:
            return None
        return double if math.isfinite(double) else None
    return None


def _parse_number(text: str) -> float | None:
    """Return the number that a text stands for in JavaScript, or None. An empty text is 0."""
    if not text:
        return 0.0
    if "_" in text:  # Python would read 1_000 as a number
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def round_half_up(number: float) -> float:
    """Return JavaScript's `Math.round(number)`."""
    return math.floor(number + 0.5) if abs(number) < _MAX_SAFE_INTEGER // 2 else number


def remainder(number: float, divisor: float) -> float:
    """Return JavaScript's `number % divisor`, which has the sign of `number`. Return 0 in place of NaN."""
    return math.fmod(number, divisor) if divisor and math.isfinite(number) else 0.0


def to_fixed(number: float, decimals: int) -> float:
    """Return JavaScript's `Number(number.toFixed(decimals))`."""
    if not math.isfinite(number) or abs(number) >= _EXPONENT_FROM:
        return number
    return float(Decimal(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


def least_common_multiple(first: float, second: float) -> float:
    """Return the smallest number that is a multiple of both. If one is 0, return the larger one.

    Uses Euclid's algorithm with a tolerance for floats.
    """
    a, b = abs(first), abs(second)
    divisor, remaining = a, b
    for _ in range(200):  # rounding errors could keep the loop from ending
        if remaining <= 1e-12:
            break
        divisor, remaining = remaining, math.fmod(divisor, remaining)
    return a * b / divisor if divisor else max(a, b)
