"""Inputs whose type only a script of their pack knows: fields or sockets, as the file tells."""

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


def given(kind: str, values: Any, inputs: Any = ()) -> Any:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, inputs=list(inputs))
    return drawing.prompt(CATALOG)["1"][1]


def test_a_type_of_field_that_the_class_names_is_a_field() -> None:
    """With its default where the file is short; the file does not have to name it."""
    assert given("Paint", [5, "#ffffff"], [IMAGE]) == {"radius": 5, "colour": "#ffffff"}
    assert given("Paint", [5], [IMAGE]) == {"radius": 5, "colour": "#000000"}


def test_a_slot_that_stands_for_a_field_makes_it_one() -> None:
    """As editors since 1.16 save it. A slot alone is a socket, and has no value."""
    assert given("Pick", ["fill", "A", 7], [IMAGE, AS_FIELD]) == {"how": "fill", "list": "A", "last": 7}
    assert given("Pick", ["fill", 7], [IMAGE, AS_SOCKET]) == {"how": "fill", "last": 7}


def test_a_field_without_a_slot_in_a_file_of_an_older_editor() -> None:
    """It lists the sockets alone: the values tell whether there is one more."""
    assert given("Pick", ["fill", "A", 7], [IMAGE]) == {"how": "fill", "list": "A", "last": 7}
    assert given("Pick", ["fill", 7], [IMAGE]) == {"how": "fill", "last": 7}


def test_a_type_that_a_class_makes_is_a_socket() -> None:
    """A file from before the class had it lists none, and may have a value for a field that is gone."""
    assert given("Wan", [20, 1, 5]) == {"steps": 20, "shift": 1}


def test_a_file_that_lists_no_sockets_says_nothing() -> None:
    """An input that the file does not list may be a socket."""
    assert given("Pick", ["fill", 7, 8]) == {"how": "fill", "last": 7}


def test_values_that_stand_for_sockets_are_counted() -> None:
    """Editors before 1.16 saved one for each input that is forced to be a socket."""
    text = {"name": "text", "type": "STRING", "link": None}
    assert given("Forced", ["fit", "socket's", "A"], [text]) == {"how": "fit", "list": "A"}


def test_a_field_of_an_unknown_type_can_be_linked() -> None:
    """Its value keeps its place."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Pick", ["fill", "A", 7], inputs=[dict(IMAGE)])
    drawing.node(2, "Any")
    drawing.link(2, 0, 1, "list", "THEIR_LIST", widget=True)
    assert drawing.prompt(CATALOG)["1"][1] == {"how": "fill", "list": ["2", 0], "last": 7}


@pytest.mark.parametrize("values", [None, {}, {"list": "A"}])
def test_values_of_other_forms(values: Any) -> None:
    """Without a list of values nothing is counted."""
    assert "list" not in given("Pick", values, [IMAGE])


def test_a_field_that_only_sets_the_size_is_not_sent() -> None:
    """It has a place among the values, whether the file lists its slot or is of an older editor."""
    slot = {"name": "autosize", "type": "ADEAUTOSIZE", "link": None, "widget": {"name": "autosize"}}
    for inputs in ([slot], []):
        assert given("ADE_Options", [16, "", 2], inputs) == {"length": 16, "stride": 2}
    assert given("ADE_Options", [16, 2]) == {"length": 16, "stride": 2}
