"""Hypothesis strategies for the values that the schemas of the worker's OpenAPI document allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]
Schema = Mapping[str, Any]
MAX_LENGTH, MAX_ITEMS = 24, 3
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=MAX_LENGTH),
    lambda inner: st.lists(inner, max_size=MAX_ITEMS) | st.dictionaries(st.text(max_size=8), inner, max_size=MAX_ITEMS),
    max_leaves=4,
)


class Schemas:
    """Strategies for the schemas of one document.

    `definitions` is its `components.schemas`. `overrides` has strategies by field name, in place of the schemas.
    Fields in `always` are never omitted.
    """

    def __init__(
        self, definitions: Mapping[str, Schema], overrides: Mapping[str, Strategy], always: Collection[str] = ()
    ) -> None:
        self._always = always
        self._definitions = definitions
        self._overrides = overrides
        self._strategies: dict[str, Strategy] = {}

    def named(self, name: str) -> Strategy:
        """Return the strategy for a schema by its name."""
        if name not in self._strategies:
            self._strategies[name] = self.of(self._definitions[name])
        return self._strategies[name]

    def of(self, schema: Schema) -> Strategy:
        """Return the strategy for a schema. Raises KeyError for a type that is not supported."""
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return st.one_of([self.of(option) for option in schema[choice]])
        if "const" in schema or "enum" in schema:
            return st.sampled_from(schema.get("enum") or [schema["const"]])
        return self._typed(schema) if "type" in schema else ANYTHING

    def _typed(self, schema: Schema) -> Strategy:
        """Return the strategy for a schema with a type."""
        match schema["type"]:
            case "object":
                return self._object(schema)
            case "array":
                minimum = schema.get("minItems", 0)
                return st.lists(self.of(schema.get("items", {})), min_size=minimum, max_size=minimum + MAX_ITEMS)
            case "string":
                return _text(schema.get("pattern"), schema.get("minLength", 0), schema.get("maxLength", MAX_LENGTH))
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case kind:
                return {"boolean": st.booleans(), "null": st.none()}[kind]

    def _object(self, schema: Schema) -> Strategy:
        """Return the strategy for an object with declared or with arbitrary properties."""
        properties = schema.get("properties")
        if properties is None:
            value_schema = schema.get("additionalProperties", True)
            values = ANYTHING if value_schema is True else self.of(value_schema)
            return st.dictionaries(st.text(max_size=12), values, max_size=MAX_ITEMS)
        fields = {
            name: self._overrides[name] if name in self._overrides else self.of(field)
            for name, field in properties.items()
        }
        required = {*schema.get("required", ()), *self._always}
        return st.fixed_dictionaries(
            {name: field for name, field in fields.items() if name in required},
            optional={name: field for name, field in fields.items() if name not in required},
        )


@cache
def _text(pattern: str | None, min_length: int, max_length: int) -> Strategy:
    """Return a strategy for strings of a pattern or length."""
    if pattern:
        return st.from_regex(pattern, fullmatch=True)
    return st.text(min_size=min_length, max_size=min(max_length, MAX_LENGTH))


def _number(schema: Schema, *, whole: bool) -> Strategy:
    """Return a strategy for numbers within the limits of a schema."""
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -(2**31))), schema.get("maximum", 2**31)
    return st.integers(low, high) if whole else st.floats(low, high, exclude_min="exclusiveMinimum" in schema)
