"""Tests of the assignment of saved values to fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert


def node_inputs(kind: str, values: Any, **more: Any) -> Any:
    """Return the inputs of a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, **more)
    return builder.inputs_of(1)


def test_values_follow_the_order_of_the_fields() -> None:
    """convert gives the values to the fields in order. Sockets take none."""
    assert node_inputs("Mix", ["fill"]) == {"how": "fill"}
    assert node_inputs("Canvas", [640, 480]) == {"width": 640, "height": 480}


def test_the_control_of_a_seed_is_skipped() -> None:
    """convert skips the control value behind a field named `seed` or with the control flag."""
    assert node_inputs("Sample", [7, "randomize", 30, "fill"]) == {"seed": 7, "steps": 30, "how": "fill"}
    assert node_inputs("Number", [7, "fixed"]) == {"value": 7}


def test_too_few_and_too_many_values() -> None:
    """convert keeps the defaults of fields without a value and ignores values without a field."""
    assert node_inputs("Sample", [7]) == {"seed": 7, "steps": 20, "how": "fit"}
    assert node_inputs("Canvas", None) == {"width": 512, "height": 512}
    assert node_inputs("Quote", ["a", "b", "c"]) == {"text": "a"}


def test_a_combo_without_a_value_gets_its_first_choice() -> None:
    """convert replaces null in a combo by its first choice, and keeps unknown choices."""
    assert node_inputs("Mix", [None]) == {"how": "fit"}
    assert node_inputs("Mix", ["squeeze"]) == {"how": "squeeze"}


def test_null_in_a_text() -> None:
    """convert replaces null by an empty text in a multiline field only."""
    assert node_inputs("Say", [None]) == {"text": ""}
    assert node_inputs("Quote", [None]) == {"text": None}


def test_objects_of_values_are_read_by_number() -> None:
    """convert reads an object of values by its numeric keys."""
    assert node_inputs("Canvas", {"0": 640, "1": 480}) == {"width": 640, "height": 480}
    assert node_inputs("Canvas", {"width": 640}) == {}


def test_a_pack_that_saves_by_name() -> None:
    """convert reads the values of VideoHelperSuite by name, including those of the chosen format."""
    video = {
        **node_class({"frames": ["INT", {}], "format": ["COMBO", {}]}),
        "python_module": "custom_nodes.VideoHelperSuite",
    }
    builder = WorkflowBuilder()
    values = {
        "format": "mp4",
        "frames": 9,
        "crf": 19,
        "videopreview": {"hidden": False},
        "choose video to upload": "image",
    }
    builder.node(1, "VHS_VideoCombine", values)
    prompt = convert(builder.saved(), Catalog.from_object_info({"VHS_VideoCombine": video})).prompt
    assert prompt["1"]["inputs"] == {"frames": 9, "format": "mp4", "crf": 19}


def test_values_of_sockets_are_skipped() -> None:
    """convert skips the values that editors before 1.16 saved for sockets."""
    assert node_inputs("Old", [0.7, "fill"]) == {"how": "fill"}
    assert node_inputs("Old", ["fill"]) == {"how": "fill"}


def test_a_bounding_box_occupies_five_values() -> None:
    """convert sends a bounding box as one value and skips the four values of its sides."""
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    assert node_inputs("Rect", [box, 1, 2, 3, 4, 5]) == {"box": box, "last": 5}


def test_lists_are_wrapped() -> None:
    """convert wraps a list, so that ComfyUI does not read it as a link."""
    assert node_inputs("Quote", [["1", 0]]) == {"text": {"__value__": ["1", 0]}}


@pytest.mark.parametrize(
    ("written", "sent"),
    [(8.0, 8), (2.5, 2.5), (-0.0, 0), (9007199254740993, 9007199254740992), (True, True), ("20", "20"), (1e300, 1e300)],
)
def test_numbers_follow_javascript(written: Any, sent: Any) -> None:
    """convert writes whole floats as integers, and large integers lose digits."""
    actual = node_inputs("Quote", [written])["text"]
    assert (actual, type(actual)) == (sent, type(sent))


def test_dynamic_combos_add_their_fields() -> None:
    """convert reads the fields of the chosen option directly behind the combo."""
    assert node_inputs("Choose", ["small", 9, 3, "fixed"]) == {"model": "small", "model.steps": 9, "seed": 3}
    large = {"model": "large", "model.prompt": "x", "model.ratio": 0.5, "seed": 3}
    assert node_inputs("Choose", ["large", "x", 0.5, 3, "fixed"]) == large
    assert node_inputs("Choose", ["none", 3, "fixed"]) == {"model": "none", "seed": 3}
    assert node_inputs("Choose", ["gone", 3, "fixed"]) == {"model": "gone", "seed": 3}


SORTED = {
    "alpha": ["FLOAT", {"default": 1.0, "max": 1.0}],
    "prompt": ["STRING", {}],
    "quality": ["COMBO", {"options": ["low", "high"]}],
    "seed": ["INT", {"control_after_generate": True}],
}


def sorted_catalog(name: str) -> Catalog:
    """Return a catalog whose class has a dynamic combo with sorted inner inputs."""
    option = {"key": "one", "inputs": {"required": SORTED}}
    return Catalog.from_object_info({name: node_class({"model": ["COMFY_DYNAMICCOMBO_V3", {"options": [option]}]})})


EXPECTED = {"model": "one", "model.alpha": 0.5, "model.prompt": "a", "model.quality": "high", "model.seed": 7}


def test_lost_order_is_restored_from_slots() -> None:
    """convert uses the order of the file's slots when the catalog has sorted inputs."""
    names = ("model.quality", "model.prompt", "model.seed", "model.alpha")
    slots = [{"name": name, "type": "*", "widget": {"name": name}} for name in names]
    builder = WorkflowBuilder()
    builder.node(1, "Unheard", ["one", "high", "a", 7, "fixed", 0.5], inputs=slots)
    assert builder.prompt(sorted_catalog("Unheard"))["1"][1] == EXPECTED


def test_lost_order_is_restored_from_values() -> None:
    """convert gives each value to a field that can hold it when the file has no slots."""
    builder = WorkflowBuilder()
    builder.node(1, "Unheard", ["one", "high", "a", 7, "fixed", 0.5])
    assert builder.prompt(sorted_catalog("Unheard"))["1"][1] == EXPECTED


def test_lost_order_is_restored_from_declarations() -> None:
    """convert uses the order that ComfyUI 0.33.0 declares when the values fit every order."""
    inner = {name: ["STRING", {}] for name in ("duration", "negative_prompt", "prompt", "ratio", "resolution")}
    option = {"key": "wan2.7-t2v", "inputs": {"required": inner}}
    info = {"Wan2TextToVideoApi": node_class({"model": ["COMFY_DYNAMICCOMBO_V3", {"options": [option]}]})}
    builder = WorkflowBuilder()
    builder.node(1, "Wan2TextToVideoApi", ["wan2.7-t2v", "yes", "no", "720P", "16:9", "5"])
    actual = builder.prompt(Catalog.from_object_info(info))["1"][1]
    assert (actual["model.prompt"], actual["model.negative_prompt"], actual["model.duration"]) == ("yes", "no", "5")


def test_custom_combo_sends_its_options() -> None:
    """convert adds the options of a CustomCombo as fields, and the index of the chosen one."""
    builder = WorkflowBuilder()
    builder.node(1, "CustomCombo", ["b", 0, "a", "b", ""])
    info = CLASSES | {"CustomCombo": node_class({"choice": ["COMBO", {"options": []}]}, ["STRING", "INT"])}
    actual = builder.prompt(Catalog.from_object_info(info))["1"][1]
    assert actual == {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""}
