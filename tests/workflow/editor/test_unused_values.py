"""Tests of warnings about saved values that no field takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.errors import Detail
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert

CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        "Show": {**node_class({"text": ["STRING", {"forceInput": True}]}), "output_node": True},
        "Tag": {**node_class({"most": ["INT", {}]}), "output_node": True},
        "Steer": node_class({"seed": ["INT", {}]}, [], curve=["FLOAT", {"forceInput": True}]),
        "Speak": node_class({"text": ["STRING", {"multiline": True}], "loud": ["BOOLEAN", {}]}),
        "Animation Builder (mtb)": node_class({"frames": ["INT", {}]}),
    }
)


def warnings(kind: str, values: Any, mode: int = 0) -> tuple[Detail, ...]:
    """Return the warnings of a workflow with one node of a class."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 64])
    builder.node(2, kind, values, mode, title="mine")
    return convert(builder.saved(), CATALOG).warnings


def test_an_unused_value_is_a_warning() -> None:
    """convert warns about values without a field, with the node and the values."""
    warning = warnings("Canvas", [640, 480, 7, "x"])[0]
    assert warning.message == "no input takes these values of the file: 7, 'x'"
    assert (warning.node_id, warning.node_title, warning.class_type) == ("2", "mine", "Canvas")


def test_the_warning_is_short() -> None:
    """The warning shows three values, each cut to its beginning."""
    message = warnings("Canvas", [640, 480, "y" * 1000, 1, 2, 3])[0].message
    assert message.endswith("1, 2 and 1 more")
    assert len(message) < 200


def test_values_by_name_are_a_warning() -> None:
    """convert warns about values by name, because the editor reads an object by numbers only."""
    assert "640" in warnings("Canvas", {"width": 640})[0].message
    assert warnings("Canvas", {"0": 640, "1": 480}) == ()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Load", ["a.png", "image"]),
        ("Canvas", [640, 480, None, "", {}, [], "  "]),
        ("Canvas", [640, 480, "/view?filename=a.png&type=output"]),
        ("Canvas", [640, 480, 480]),
        ("Show", ["what it showed"]),
        ("Show", [["a", "b"], True]),
        ("Sample", [7, "randomize", 30, "fill"]),
        ("Old", [0.5, "fill"]),
        ("Tag", [7, "a cat, a dog"]),
        ("Canvas", [640, 480, "<tr><td>640 x 480</td></tr>"]),
        ("Steer", [7, "fixed", 0]),
        ("Say", ["hello", True]),
        ("Speak", ["hello", False, [False, True]]),
        ("Animation Builder (mtb)", [12, "frame: 0 / 11", "reset"]),
    ],
)
def test_displayed_values_are_no_warning(kind: str, values: Any) -> None:
    """convert does not warn about buttons, previews, results, repeated values and values of sockets."""
    assert warnings(kind, values) == ()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Tag", [7, "fill"]),
        ("Tag", [7, 8]),
        ("Steer", [7, "fixed", 0, 1]),
        ("Canvas", [640, 480, True]),
        ("Say", ["hello", True, True]),
        ("Speak", ["hello", "a field that went", True]),
    ],
)
def test_possible_inputs_are_a_warning(kind: str, values: Any) -> None:
    """convert warns about values that a user may have set, and about more values than sockets or multiline texts."""
    assert len(warnings(kind, values)) == 1


def test_disabled_nodes_have_no_warnings() -> None:
    """convert does not warn about values of muted or bypassed nodes."""
    assert warnings("Canvas", [640, 480, 7], 2) == ()
    assert warnings("Canvas", [640, 480, 7], 4) == ()
