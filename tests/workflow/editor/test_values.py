"""Which of the saved values belongs to which field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert


def given(kind: str, values: Any, **more: Any) -> Any:
    """The inputs of one node alone."""
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, **more)
    return drawing.inputs_of(1)


def test_values_go_by_the_order_of_the_fields() -> None:
    """A node's fields take the values one after another; sockets take none."""
    assert given("Mix", ["fill"]) == {"how": "fill"}
    assert given("Canvas", [640, 480]) == {"width": 640, "height": 480}


def test_what_becomes_of_a_seed_has_a_place_of_its_own() -> None:
    """A field named seed, or flagged, is followed by a value that is not sent."""
    assert given("Sample", [7, "randomize", 30, "fill"]) == {"seed": 7, "steps": 30, "how": "fill"}
    assert given("Number", [7, "fixed"]) == {"value": 7}


def test_too_few_and_too_many_values() -> None:
    """Fields without a value keep their default, values without a field are nobody's."""
    assert given("Sample", [7]) == {"seed": 7, "steps": 20, "how": "fit"}
    assert given("Canvas", None) == {"width": 512, "height": 512}
    assert given("Quote", ["a", "b", "c"]) == {"text": "a"}


def test_a_combo_without_a_value_gets_its_first_choice() -> None:
    """Null in a combo is mended, an unknown choice is not."""
    assert given("Mix", [None]) == {"how": "fit"}
    assert given("Mix", ["squeeze"]) == {"how": "squeeze"}


def test_null_in_a_text() -> None:
    """One of several lines has nothing in it then; a short one is null."""
    assert given("Say", [None]) == {"text": ""}
    assert given("Quote", [None]) == {"text": None}


def test_values_as_an_object_are_read_by_their_places() -> None:
    """Names count for nothing but in the one pack that saves by name."""
    assert given("Canvas", {"0": 640, "1": 480}) == {"width": 640, "height": 480}
    assert given("Canvas", {"width": 640}) == {}


def test_a_pack_that_saves_by_name() -> None:
    """Its values are found by name, those of a chosen format included, what only the browser shows is not."""
    video = {
        **node_class({"frames": ["INT", {}], "format": ["COMBO", {}]}),
        "python_module": "custom_nodes.VideoHelperSuite",
    }
    drawing = WorkflowBuilder()
    values = {
        "format": "mp4",
        "frames": 9,
        "crf": 19,
        "videopreview": {"hidden": False},
        "choose video to upload": "image",
    }
    drawing.node(1, "VHS_VideoCombine", values)
    prompt = convert(drawing.saved(), Catalog.from_object_info({"VHS_VideoCombine": video})).prompt
    assert prompt["1"]["inputs"] == {"frames": 9, "format": "mp4", "crf": 19}


def test_values_of_what_is_only_a_socket_now() -> None:
    """Files of old editors have one for it, told by their number."""
    assert given("Old", [0.7, "fill"]) == {"how": "fill"}
    assert given("Old", ["fill"]) == {"how": "fill"}


def test_a_field_with_fields_around_it() -> None:
    """A box is one value, and its sides take places behind it."""
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    assert given("Rect", [box, 1, 2, 3, 4, 5]) == {"box": box, "last": 5}


def test_lists_are_wrapped() -> None:
    """So that no server takes one for a link."""
    assert given("Quote", [["1", 0]]) == {"text": {"__value__": ["1", 0]}}


@pytest.mark.parametrize(
    ("written", "sent"),
    [(8.0, 8), (2.5, 2.5), (-0.0, 0), (9007199254740993, 9007199254740992), (True, True), ("20", "20"), (1e300, 1e300)],
)
def test_numbers_have_passed_through_javascript(written: Any, sent: Any) -> None:
    """Whole ones have no point, large ones lose digits; nothing else is made of a value."""
    found = given("Quote", [written])["text"]
    assert (found, type(found)) == (sent, type(sent))


def test_dynamic_combos_bring_their_fields() -> None:
    """The chosen option's come right behind it, under its name; sockets take no value."""
    assert given("Choose", ["small", 9, 3, "fixed"]) == {"model": "small", "model.steps": 9, "seed": 3}
    large = {"model": "large", "model.prompt": "x", "model.ratio": 0.5, "seed": 3}
    assert given("Choose", ["large", "x", 0.5, 3, "fixed"]) == large
    assert given("Choose", ["none", 3, "fixed"]) == {"model": "none", "seed": 3}
    assert given("Choose", ["gone", 3, "fixed"]) == {"model": "gone", "seed": 3}


SORTED = {
    "alpha": ["FLOAT", {"default": 1.0, "max": 1.0}],
    "prompt": ["STRING", {}],
    "quality": ["COMBO", {"options": ["low", "high"]}],
    "seed": ["INT", {"control_after_generate": True}],
}


def sorted_class(name: str) -> Catalog:
    option = {"key": "one", "inputs": {"required": SORTED}}
    return Catalog.from_object_info({name: node_class({"model": ["COMFY_DYNAMICCOMBO_V3", {"options": [option]}]})})


EXPECTED = {"model": "one", "model.alpha": 0.5, "model.prompt": "a", "model.quality": "high", "model.seed": 7}


def test_an_order_that_a_sorted_catalog_lost_is_read_off_the_slots() -> None:
    """Where the file names a slot for each field, theirs is the order of the values."""
    names = ("model.quality", "model.prompt", "model.seed", "model.alpha")
    slots = [{"name": name, "type": "*", "widget": {"name": name}} for name in names]
    drawing = WorkflowBuilder()
    drawing.node(1, "Unheard", ["one", "high", "a", 7, "fixed", 0.5], inputs=slots)
    assert drawing.prompt(sorted_class("Unheard"))["1"][1] == EXPECTED


def test_an_order_that_a_sorted_catalog_lost_is_read_off_the_values() -> None:
    """Where nothing names it, each value goes to the field that could have held it."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Unheard", ["one", "high", "a", 7, "fixed", 0.5])
    assert drawing.prompt(sorted_class("Unheard"))["1"][1] == EXPECTED


def test_a_known_order_beats_the_alphabet() -> None:
    """Where values tell nothing, the order that ComfyUI 0.33.0 declares is known."""
    inner = {name: ["STRING", {}] for name in ("duration", "negative_prompt", "prompt", "ratio", "resolution")}
    option = {"key": "wan2.7-t2v", "inputs": {"required": inner}}
    info = {"Wan2TextToVideoApi": node_class({"model": ["COMFY_DYNAMICCOMBO_V3", {"options": [option]}]})}
    drawing = WorkflowBuilder()
    drawing.node(1, "Wan2TextToVideoApi", ["wan2.7-t2v", "yes", "no", "720P", "16:9", "5"])
    found = drawing.prompt(Catalog.from_object_info(info))["1"][1]
    assert (found["model.prompt"], found["model.negative_prompt"], found["model.duration"]) == ("yes", "no", "5")


def test_a_combo_of_ones_own_choices_sends_which() -> None:
    """CustomCombo's choices are fields of the node, and the place of the chosen one is counted anew."""
    drawing = WorkflowBuilder()
    drawing.node(1, "CustomCombo", ["b", 0, "a", "b", ""])
    info = CLASSES | {"CustomCombo": node_class({"choice": ["COMBO", {"options": []}]}, ["STRING", "INT"])}
    found = drawing.prompt(Catalog.from_object_info(info))["1"][1]
    assert found == {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""}
