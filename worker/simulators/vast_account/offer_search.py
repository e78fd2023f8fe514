"""The search for offers: those that a query allows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = dict[str, Any]

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
    "in": lambda value, values: value in values,
    "notin": lambda value, values: value not in values,
}


def matching(offers: Iterable[Row], query: Mapping[str, Any]) -> list[Row]:
    """Return the offers that a query allows, up to its `limit`, in their order.

    A query is {field: {operator: value}}. A field that an offer does not have does not exclude it. `type` is not
    checked: all offers are on demand.
    """
    bounds = {field: bound for field, bound in query.items() if isinstance(bound, Mapping)}
    allowed = [offer for offer in offers if all(_allows(offer, field, bound) for field, bound in bounds.items())]
    return allowed[: query.get("limit")]


def _allows(offer: Row, field: str, bound: Mapping[str, Any]) -> bool:
    """Return whether an offer keeps to the bound of one field."""
    return field not in offer or all(OPERATORS[name](offer[field], value) for name, value in bound.items())
