"""Choices with a picture (pysssss), lists that are sent as labels (Impact), and classes with another name today."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.errors import CannotConvert
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert

REPEATER, INSPIRE = "Repeater|pysssss", "LoadImage //Inspire"
LOADER, ENCODE, BRIDGE = "LoraLoader|pysssss", "ImpactWildcardEncode", "PreviewBridge"
LORA, WILDCARD = "Select to add LoRA", "Select to add Wildcard"
LABELS = {LORA: "Select the LoRA to add to the text", WILDCARD: "Select the Wildcard to add to the text"}
MODE = ["BOOLEAN", {"default": True}]
CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        LOADER: node_class({"lora_name": [["a", "b"]], "strength": ["FLOAT", {"default": 1}]}, ["MODEL"]),
        ENCODE: node_class({"text": ["STRING", {}], "mode": MODE, LORA: [["x"]], WILDCARD: [["y"]]}, ["CONDITIONING"]),
        BRIDGE: node_class({"images": ["IMAGE"], "image": ["STRING", {}]}, ["IMAGE"]),
        "ImpactSwitch": node_class({"select": ["INT", {"default": 1, "min": 1}]}, ["*"]),
        REPEATER: node_class(
            {"repeats": ["INT", {}], "output": [["single", "multi"]], "node_mode": [["reuse", "create"]]}, ["*"]
        ),
        INSPIRE: node_class({"image": [["a.png"]], "image_data": ["STRING", {}]}, ["IMAGE"]),
        "ImageReceiver": node_class({"save_to_workflow": ["BOOLEAN", {}], "image_data": ["STRING", {}]}, ["IMAGE"]),
        "ConditioningAverage": node_class({"strength": ["FLOAT", {"default": 1}]}, ["CONDITIONING"]),
        "ControlNetLoader": node_class({"control_net_name": [["n.pth"]]}, ["CONTROL_NET"]),
        "SVD_img2vid_Conditioning": node_class({"width": ["INT", {}]}, ["CONDITIONING"]),
    }
)


def given(kind: str, values: Any, **more: Any) -> Any:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, **more)
    return drawing.prompt(CATALOG)["1"][1]


@pytest.mark.parametrize("value", ["d/s.pt", {"content": "d/s.pt", "image": None}, {"content": "d/s.pt", "image": "p"}])
def test_a_choice_with_a_picture_is_sent_by_name(value: Any) -> None:
    """Its picture is only shown."""
    assert given(LOADER, [value, 0.5]) == {"lora_name": "d/s.pt", "strength": 0.5}


def test_a_choice_with_a_picture_that_a_primitive_feeds() -> None:
    """It is the primitive that holds the object then."""
    drawing = WorkflowBuilder()
    drawing.node(1, LOADER, ["a", 0.5])
    drawing.node(2, "PrimitiveNode", [{"content": "s", "image": None}, "fixed"])
    drawing.link(2, 0, 1, "lora_name", "COMBO", widget=True)
    assert drawing.prompt(CATALOG)["1"][1]["lora_name"] == "s"


def test_a_text_that_only_the_browser_has_is_refused() -> None:
    """Unless nothing uses it."""
    drawing = WorkflowBuilder()
    drawing.node(1, "PresetText|pysssss", ["mine", "Manage"])
    drawing.node(2, "Quote", ["own"])
    assert drawing.prompt(CATALOG) == {"2": ("Quote", {"text": "own"})}
    drawing.link(1, 0, 2, "text", "STRING", widget=True)
    with pytest.raises(CannotConvert, match=r"node 1 .*stored in the browser"):
        convert(drawing.saved(), CATALOG)


def test_lists_are_sent_as_their_label() -> None:
    """Whatever the file has; what is linked into one stays linked."""
    assert given(ENCODE, ["t", True, "a.pt", "w"]) == {"text": "t", "mode": True, **LABELS}
    drawing = WorkflowBuilder()
    drawing.node(1, ENCODE, ["t", True, "a.pt", "w"])
    drawing.node(2, "Quote", ["x"])
    drawing.link(2, 0, 1, LORA, "COMBO", widget=True)
    assert drawing.prompt(CATALOG)["1"][1][LORA] == ["2", 0]


@pytest.mark.parametrize(("value", "sent"), [(True, True), (False, False), ("Populate", True), ("Fixed", False)])
def test_a_mode_that_was_a_text(value: Any, sent: bool) -> None:
    """It is a switch today."""
    assert given(ENCODE, ["t", value])["mode"] is sent


def test_a_switch_counts_from_one() -> None:
    """Files of older versions have 0; where nothing is linked, nothing is chosen."""
    drawing = WorkflowBuilder()
    drawing.node(1, "ImpactSwitch", [0])
    drawing.node(2, "Quote", ["x"])
    assert drawing.prompt(CATALOG)["1"][1] == {"select": 0}
    drawing.link(2, 0, 1, "input1")
    assert drawing.prompt(CATALOG)["1"][1] == {"select": 1, "input1": ["2", 0]}
    drawing._at(1)["widgets_values"] = [3]
    assert drawing.prompt(CATALOG)["1"][1]["select"] == 3


def test_outputs_of_a_repeater_are_one() -> None:
    """Its script adds outputs that the class has not; copies that it makes of other nodes are refused."""
    drawing = WorkflowBuilder()
    drawing.node(1, REPEATER, [3, "multi", "reuse"])
    for slot in range(3):
        drawing.node(5 + slot, "Any")
        drawing.link(1, slot, 5 + slot, "value")
    assert [drawing.prompt(CATALOG)[f"{5 + slot}"][1]["value"] for slot in range(3)] == [["1", 0]] * 3
    drawing._at(1)["widgets_values"] = [3, "single", "create"]
    with pytest.raises(CannotConvert, match=r"node 1 .*copies the node before it"):
        convert(drawing.saved(), CATALOG)


def test_a_bridge_names_its_own_node() -> None:
    """The file may name the node it was copied from; a picture that was edited stays."""
    assert given(BRIDGE, ["$48-0"])["image"] == "$1-0"
    assert given(BRIDGE, ["clipspace/a.png [input]"])["image"] == "clipspace/a.png [input]"


@pytest.mark.parametrize(
    ("old", "new", "values", "sent"),
    [
        ("ConditioningAverage ", "ConditioningAverage", [0.5], {"strength": 0.5}),
        ("T2IAdapterLoader", "ControlNetLoader", ["n.pth"], {"control_net_name": "n.pth"}),
        ("SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning", [512], {"width": 512}),
    ],
)
def test_a_class_with_another_name_today(old: str, new: str, values: Any, sent: Any) -> None:
    """It is loaded as the class that has its place, inside a subgraph too."""
    inside, drawing = WorkflowBuilder("s"), WorkflowBuilder()
    drawing.definitions.append(inside)
    drawing.node(1, "s")
    inside.node(5, old, values)
    assert drawing.prompt(CATALOG) == {"1:5": (new, sent)}


def test_an_input_with_another_name_today_stays_linked() -> None:
    """The slots are renamed with the class; a class that the catalog has keeps its name."""
    drawing = WorkflowBuilder()
    drawing.node(1, "T2IAdapterLoader", ["n.pth"])
    drawing.node(2, "Quote", ["x"])
    drawing.link(2, 0, 1, "t2i_adapter_name", "COMBO", widget=True)
    assert drawing.prompt(CATALOG)["1"] == ("ControlNetLoader", {"control_net_name": ["2", 0]})
    old = Catalog.from_object_info({**CLASSES, "T2IAdapterLoader": node_class({"t2i_adapter_name": [["n.pth"]]})})
    assert drawing.prompt(old)["1"] == ("T2IAdapterLoader", {"t2i_adapter_name": ["2", 0]})


def test_a_picture_that_the_browser_draws_into_a_field() -> None:
    """The placeholder that a file has for it is not sent, with a warning; a picture in the file is."""
    drawing = WorkflowBuilder()
    drawing.node(1, INSPIRE, ["a.png", "[IMAGE DATA]", "image"])
    drawing.node(2, INSPIRE, ["a.png", "data:image/png;base64,AAAA", "image"])
    conversion = convert(drawing.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"] == {"image": "a.png"}
    assert conversion.prompt["2"]["inputs"]["image_data"] == "data:image/png;base64,AAAA"
    assert [(one.node_id, one.input) for one in conversion.warnings] == [("1", "image_data")]


@pytest.mark.parametrize(
    ("values", "sent", "warned"),
    [([True, "data:1"], "data:1", 0), ([True, "[IMAGE DATA]"], "", 1), ([False, "data:1"], "", 0)],
)
def test_a_received_picture_is_sent_if_the_file_keeps_it(values: list[Any], sent: str, warned: int) -> None:
    """A placeholder is none: without the picture the node would run with an empty one, so that is a warning."""
    drawing = WorkflowBuilder()
    drawing.node(1, "ImageReceiver", values)
    conversion = convert(drawing.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"]["image_data"] == sent
    assert len(conversion.warnings) == warned
