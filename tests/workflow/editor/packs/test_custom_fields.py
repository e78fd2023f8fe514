"""Tests of inputs of a type that only a script of their pack knows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog

COLOUR = ["COLOR", {"widgetType": "THEIR_COLOR", "default": "#000000"}]
OWN = ["THEIR_LIST", {}]
CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        "Paint": node_class({"image": ["IMAGE"], "radius": ["INT", {"default": 3}], "colour": COLOUR}, ["IMAGE"]),
        "Pick": node_class({"image": ["IMAGE"], "how": [["fit", "fill"]], "list": OWN, "last": ["INT", {}]}, ["IMAGE"]),
        "Args": node_class({}, ["THEIR_ARGS"]),
        "Wan": node_class({"steps": ["INT", {}], "shift": ["INT", {}]}, [], args=["THEIR_ARGS", {}]),
        "ADE_Options": {
            **node_class({"length": ["INT", {}]}, [], autosize=["ADEAUTOSIZE", {}], stride=["INT", {"default": 1}]),
            "python_module": "custom_nodes.ComfyUI-AnimateDiff-Evolved",
        },
        "Forced": node_class({"how": [["fit"]], "text": ["STRING", {"forceInput": True}]}, [], list=OWN),
    }
)
IMAGE = {"name": "image", "type": "IMAGE", "link": None}
AS_FIELD = {"name": "list", "type": "THEIR_LIST", "link": None, "widget": {"name": "list"}}
AS_SOCKET = {"name": "list", "type": "THEIR_LIST", "link": None}


def node_inputs(kind: str, values: Any, inputs: Any = ()) -> Any:
    """Return the inputs of a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, inputs=list(inputs))
    return builder.prompt(CATALOG)["1"][1]


def test_an_input_with_a_widget_type_is_a_field() -> None:
    """convert treats an input with a `widgetType` as a field, with its default if the file has no value."""
    assert node_inputs("Paint", [5, "#ffffff"], [IMAGE]) == {"radius": 5, "colour": "#ffffff"}
    assert node_inputs("Paint", [5], [IMAGE]) == {"radius": 5, "colour": "#000000"}


def test_a_slot_with_a_widget_is_a_field() -> None:
    """convert treats an input as a field if its slot has a widget, as editors since 1.16 save it."""
    assert node_inputs("Pick", ["fill", "A", 7], [IMAGE, AS_FIELD]) == {"how": "fill", "list": "A", "last": 7}
    assert node_inputs("Pick", ["fill", 7], [IMAGE, AS_SOCKET]) == {"how": "fill", "last": 7}


def test_the_number_of_values_shows_a_field() -> None:
    """convert treats an input without a slot as a field if the file has one more value."""
    assert node_inputs("Pick", ["fill", "A", 7], [IMAGE]) == {"how": "fill", "list": "A", "last": 7}
    assert node_inputs("Pick", ["fill", 7], [IMAGE]) == {"how": "fill", "last": 7}


def test_a_type_of_an_output_is_a_socket() -> None:
    """convert treats an input as a socket if an output of the catalog has its type."""
    assert node_inputs("Wan", [20, 1, 5]) == {"steps": 20, "shift": 1}


def test_files_without_slots_show_no_fields() -> None:
    """convert treats an input as a socket if the file lists no slots at all."""
    assert node_inputs("Pick", ["fill", 7, 8]) == {"how": "fill", "last": 7}


def test_values_of_sockets_are_counted() -> None:
    """convert counts the values that editors before 1.16 saved for forced sockets."""
    text = {"name": "text", "type": "STRING", "link": None}
    assert node_inputs("Forced", ["fit", "socket's", "A"], [text]) == {"how": "fit", "list": "A"}


def test_a_custom_field_can_be_linked() -> None:
    """convert links a custom field, and its value keeps its position."""
    builder = WorkflowBuilder()
    builder.node(1, "Pick", ["fill", "A", 7], inputs=[dict(IMAGE)])
    builder.node(2, "Any")
    builder.link(2, 0, 1, "list", "THEIR_LIST", widget=True)
    assert builder.prompt(CATALOG)["1"][1] == {"how": "fill", "list": ["2", 0], "last": 7}


@pytest.mark.parametrize("values", [None, {}, {"list": "A"}])
def test_values_that_are_not_a_list(values: Any) -> None:
    """convert counts no values when the file has no list of them."""
    assert "list" not in node_inputs("Pick", values, [IMAGE])


def test_display_fields_are_not_sent() -> None:
    """convert skips the value of a field that only sets the size of the node."""
    slot = {"name": "autosize", "type": "ADEAUTOSIZE", "link": None, "widget": {"name": "autosize"}}
    for inputs in ([slot], []):
        assert node_inputs("ADE_Options", [16, "", 2], inputs) == {"length": 16, "stride": 2}
    assert node_inputs("ADE_Options", [16, 2]) == {"length": 16, "stride": 2}
