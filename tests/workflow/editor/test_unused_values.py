"""Values of the file that no input takes are named, unless the editor only shows them."""

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
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(2, kind, values, mode, title="mine")
    return convert(drawing.saved(), CATALOG).warnings


def test_a_value_without_an_input_is_a_warning() -> None:
    """It names the node and what was left over."""
    warning = warnings("Canvas", [640, 480, 7, "x"])[0]
    assert warning.message == "no input takes these values of the file: 7, 'x'"
    assert (warning.node_id, warning.node_title, warning.class_type) == ("2", "mine", "Canvas")


def test_many_and_long_values_are_cut() -> None:
    """Three are shown, each up to its beginning."""
    message = warnings("Canvas", [640, 480, "y" * 1000, 1, 2, 3])[0].message
    assert message.endswith("1, 2 and 1 more")
    assert len(message) < 200


def test_values_by_name_are_a_warning() -> None:
    """The editor reads an object by numbers alone."""
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
def test_what_the_editor_only_shows_is_none(kind: str, values: Any) -> None:
    """Buttons, lines, previews, a last value that was saved twice, results, and values that stood for sockets."""
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
def test_what_may_have_been_set_is_a_warning(kind: str, values: Any) -> None:
    """A choice, a number, more values than sockets or large texts, and a value that moved into another field."""
    assert len(warnings(kind, values)) == 1


def test_a_node_that_does_not_run_warns_of_nothing() -> None:
    """Muted or bypassed, nothing of it is sent."""
    assert warnings("Canvas", [640, 480, 7], 2) == ()
    assert warnings("Canvas", [640, 480, 7], 4) == ()
