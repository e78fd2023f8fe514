"""Tests of PrimitiveNode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import WorkflowBuilder


def primitive(value: Any, *targets: tuple[str, str], mode: int = 0) -> WorkflowBuilder:
    """Return a workflow in which a PrimitiveNode feeds a field of each given node, numbered from 2."""
    builder = WorkflowBuilder()
    builder.node(1, "PrimitiveNode", value, mode)
    for number, (kind, field) in enumerate(targets, 2):
        builder.node(number, kind)
        builder.link(1, 0, number, field, "*", widget=True)
    return builder


@pytest.mark.parametrize(
    ("value", "kind", "field", "expected"),
    [
        (640, "Canvas", "width", 640),
        (643, "Canvas", "width", 640),
        (5000, "Canvas", "width", 1024),
        (-1, "Canvas", "width", 16),
        (3.14159, "Blur", "radius", 3.1),
        (99, "Blur", "radius", 9),
        ("fill", "Mix", "how", "fill"),
        ("text", "Quote", "text", "text"),
        ("x{a}", "Say", "text", "xa"),
        ("nonsense", "Canvas", "width", None),
    ],
)
def test_values_are_rounded_for_the_field(value: Any, kind: str, field: str, expected: Any) -> None:
    """convert rounds and limits a number by the options of the field, and copies texts and choices unchanged."""
    assert primitive([value, "fixed"], (kind, field)).inputs_of(2)[field] == expected


def test_one_primitive_for_several_fields() -> None:
    """convert gives all fields the same value within the narrowest limits."""
    prompt = primitive([643, "fixed"], ("Canvas", "width"), ("Sample", "steps")).prompt()
    assert (prompt["2"][1]["width"], prompt["3"][1]["steps"]) == (640, 640)


def test_a_primitive_without_a_value() -> None:
    """convert copies the value of the first field when the primitive has none."""
    assert primitive(None, ("Canvas", "width"), ("Canvas", "height")).inputs_of(3)["height"] == 512


def test_a_muted_primitive_still_copies() -> None:
    """convert copies the value of a primitive that is muted or bypassed."""
    assert primitive([640], ("Canvas", "width"), mode=2).inputs_of(2)["width"] == 640
    assert primitive([640], ("Canvas", "width"), mode=4).inputs_of(2)["width"] == 640


def test_primitives_do_not_copy_through_reroutes() -> None:
    """convert keeps a field's own value when a reroute is between it and the primitive."""
    builder = WorkflowBuilder()
    builder.node(1, "PrimitiveNode", [640, "fixed"])
    builder.node(2, "Reroute")
    builder.node(3, "Canvas", [128, 128])
    builder.link(1, 0, 2, "")
    builder.link(2, 0, 3, "width", "INT", widget=True)
    assert builder.inputs_of(3)["width"] == 128
