"""Vast's search language for offers: converts text into the form of Vast's queries, so that both can be compared."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any

from vastai.api.query import offers_alias, offers_mult, parse_query

DEFAULTS: Mapping[str, Mapping[str, bool]] = {
    "verified": {"eq": True},
    "rentable": {"eq": True},
    "rented": {"eq": False},
}
"""Bounds that Vast's own tools, and perhaps Vast itself, add to every search. Written out, both searches are equal."""


class _EveryField(Container[str]):
    """A container of all fields, because Vast's parser prints a warning for a field that is not in its container."""

    def __contains__(self, field: object) -> bool:
        """Return True, so that no field is unknown to Vast's parser."""
        return True


def parse(text: str) -> dict[str, dict[str, Any]]:
    """Return a search such as `gpu_ram>=24 dph_total<0.5` as {field: {operator: value}}, in `normal` form.

    Raises ValueError when the text is not a valid search.
    """
    return normal(parse_query(text, {}, _EveryField(), offers_alias, offers_mult))


def normal(query: object) -> dict[str, dict[str, Any]]:
    """Return a query in a form that can be compared: decoded from JSON, with numbers as floats and lists sorted.

    The result is {field: {operator: value}}. It is empty when `query` is no JSON object.
    """
    decoded = json.loads(query) if isinstance(query, str) and query else query
    if not isinstance(decoded, Mapping):
        return {}
    fields = {str(field): bounds for field, bounds in decoded.items() if isinstance(bounds, Mapping)}
    return {field: {str(op): _value(value) for op, value in bounds.items()} for field, bounds in fields.items()}


def _value(value: object) -> object:
    """Return one value in the form that `normal` describes."""
    if isinstance(value, list):
        return sorted((_value(item) for item in value), key=str)
    if isinstance(value, bool) or value is None:
        return value
    try:
        return float(str(value))
    except ValueError:
        return value
