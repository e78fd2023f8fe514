"""From the worker's own OpenAPI document to hypothesis strategies: values that its schemas allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]
Schema = Mapping[str, Any]
LONGEST, MOST = 24, 3
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=LONGEST),
    lambda inner: st.lists(inner, max_size=MOST) | st.dictionaries(st.text(max_size=8), inner, max_size=MOST),
    max_leaves=4,
)


class Schemas:
    """`definitions`: `components.schemas` of the document. `known` replaces fields by name, wherever they stand.

    Fields in `always` are never left out.
    """

    def __init__(
        self, definitions: Mapping[str, Schema], known: Mapping[str, Strategy], always: Collection[str] = ()
    ) -> None:
        self._always = always
        self._definitions = definitions
        self._known = known
        self._made: dict[str, Strategy] = {}

    def named(self, name: str) -> Strategy:
        if name not in self._made:
            self._made[name] = self.of(self._definitions[name])
        return self._made[name]

    def of(self, schema: Schema) -> Strategy:
        """Raises KeyError for a schema that says nothing which is understood here."""
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return st.one_of([self.of(one) for one in schema[choice]])
        if "const" in schema or "enum" in schema:
            return st.sampled_from(schema.get("enum") or [schema["const"]])
        return self._typed(schema) if "type" in schema else ANYTHING

    def _typed(self, schema: Schema) -> Strategy:
        match schema["type"]:
            case "object":
                return self._object(schema)
            case "array":
                least = schema.get("minItems", 0)
                return st.lists(self.of(schema.get("items", {})), min_size=least, max_size=least + MOST)
            case "string":
                return _text(schema.get("pattern"), schema.get("minLength", 0), schema.get("maxLength", LONGEST))
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case kind:
                return {"boolean": st.booleans(), "null": st.none()}[kind]

    def _object(self, schema: Schema) -> Strategy:
        properties = schema.get("properties")
        if properties is None:
            more = schema.get("additionalProperties", True)
            values = ANYTHING if more is True else self.of(more)
            return st.dictionaries(st.text(max_size=12), values, max_size=MOST)
        fields = {name: self._known[name] if name in self._known else self.of(one) for name, one in properties.items()}
        required = {*schema.get("required", ()), *self._always}
        return st.fixed_dictionaries(
            {name: field for name, field in fields.items() if name in required},
            optional={name: field for name, field in fields.items() if name not in required},
        )


@cache
def _text(pattern: str | None, least: int, most: int) -> Strategy:
    if pattern:
        return st.from_regex(pattern, fullmatch=True)
    return st.text(min_size=least, max_size=min(most, LONGEST))


def _number(schema: Schema, *, whole: bool) -> Strategy:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -(2**31))), schema.get("maximum", 2**31)
    return st.integers(low, high) if whole else st.floats(low, high, exclude_min="exclusiveMinimum" in schema)
