"""PrimitiveNode: copied into fields, within what they allow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import WorkflowBuilder


def primitive(value: Any, *targets: tuple[str, str], mode: int = 0) -> WorkflowBuilder:
    """One that feeds a field of each of these nodes, 2 and up."""
    drawing = WorkflowBuilder()
    drawing.node(1, "PrimitiveNode", value, mode)
    for number, (kind, field) in enumerate(targets, 2):
        drawing.node(number, kind)
        drawing.link(1, 0, number, field, "*", widget=True)
    return drawing


@pytest.mark.parametrize(
    ("value", "kind", "field", "found"),
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
def test_values_are_rounded_as_a_field_rounds(value: Any, kind: str, field: str, found: Any) -> None:
    """To the step and the limits of the target; texts and choices as they are."""
    assert primitive([value, "fixed"], (kind, field)).inputs_of(2)[field] == found


def test_one_for_several() -> None:
    """All get the value, and the narrowest limits hold."""
    prompt = primitive([643, "fixed"], ("Canvas", "width"), ("Sample", "steps")).prompt()
    assert (prompt["2"][1]["width"], prompt["3"][1]["steps"]) == (640, 640)


def test_without_a_value_of_its_own() -> None:
    """It has the first target's."""
    assert primitive(None, ("Canvas", "width"), ("Canvas", "height")).inputs_of(3)["height"] == 512


def test_a_muted_one_still_copies() -> None:
    """Muting and bypassing it changes nothing."""
    assert primitive([640], ("Canvas", "width"), mode=2).inputs_of(2)["width"] == 640
    assert primitive([640], ("Canvas", "width"), mode=4).inputs_of(2)["width"] == 640


def test_not_through_a_reroute() -> None:
    """Behind one the field keeps its own value."""
    drawing = WorkflowBuilder()
    drawing.node(1, "PrimitiveNode", [640, "fixed"])
    drawing.node(2, "Reroute")
    drawing.node(3, "Canvas", [128, 128])
    drawing.link(1, 0, 2, "")
    drawing.link(2, 0, 3, "width", "INT", widget=True)
    assert drawing.inputs_of(3)["width"] == 128
