"""Tests of the rules of pysssss, Impact and Inspire, and of renamed classes."""

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


def node_inputs(kind: str, values: Any, **more: Any) -> Any:
    """Return the inputs of a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, **more)
    return builder.prompt(CATALOG)["1"][1]


@pytest.mark.parametrize("value", ["d/s.pt", {"content": "d/s.pt", "image": None}, {"content": "d/s.pt", "image": "p"}])
def test_a_choice_with_a_preview_is_sent_by_name(value: Any) -> None:
    """convert sends the name of a choice without its preview image."""
    assert node_inputs(LOADER, [value, 0.5]) == {"lora_name": "d/s.pt", "strength": 0.5}


def test_a_choice_with_a_preview_from_a_primitive() -> None:
    """convert sends the name of a choice whose object is the value of a primitive."""
    builder = WorkflowBuilder()
    builder.node(1, LOADER, ["a", 0.5])
    builder.node(2, "PrimitiveNode", [{"content": "s", "image": None}, "fixed"])
    builder.link(2, 0, 1, "lora_name", "COMBO", widget=True)
    assert builder.prompt(CATALOG)["1"][1]["lora_name"] == "s"


def test_a_text_stored_in_the_browser_is_rejected() -> None:
    """convert rejects a text that only the browser has, if another node uses it."""
    builder = WorkflowBuilder()
    builder.node(1, "PresetText|pysssss", ["mine", "Manage"])
    builder.node(2, "Quote", ["own"])
    assert builder.prompt(CATALOG) == {"2": ("Quote", {"text": "own"})}
    builder.link(1, 0, 2, "text", "STRING", widget=True)
    with pytest.raises(CannotConvert, match=r"node 1 .*stored in the browser"):
        convert(builder.saved(), CATALOG)


def test_lists_are_sent_as_their_label() -> None:
    """convert sends the label of a list, unless a node is linked into it."""
    assert node_inputs(ENCODE, ["t", True, "a.pt", "w"]) == {"text": "t", "mode": True, **LABELS}
    builder = WorkflowBuilder()
    builder.node(1, ENCODE, ["t", True, "a.pt", "w"])
    builder.node(2, "Quote", ["x"])
    builder.link(2, 0, 1, LORA, "COMBO", widget=True)
    assert builder.prompt(CATALOG)["1"][1][LORA] == ["2", 0]


@pytest.mark.parametrize(("value", "sent"), [(True, True), (False, False), ("Populate", True), ("Fixed", False)])
def test_a_mode_that_was_a_text(value: Any, sent: bool) -> None:
    """convert turns the mode of older versions, a text, into a boolean."""
    assert node_inputs(ENCODE, ["t", value])["mode"] is sent


def test_a_switch_counts_from_one() -> None:
    """convert changes 0 to 1 in the switch of an older version if an input is linked."""
    builder = WorkflowBuilder()
    builder.node(1, "ImpactSwitch", [0])
    builder.node(2, "Quote", ["x"])
    assert builder.prompt(CATALOG)["1"][1] == {"select": 0}
    builder.link(2, 0, 1, "input1")
    assert builder.prompt(CATALOG)["1"][1] == {"select": 1, "input1": ["2", 0]}
    builder._at(1)["widgets_values"] = [3]
    assert builder.prompt(CATALOG)["1"][1]["select"] == 3


def test_a_repeater_has_one_output() -> None:
    """convert links all outputs of a repeater to its first one, and rejects one that copies nodes."""
    builder = WorkflowBuilder()
    builder.node(1, REPEATER, [3, "multi", "reuse"])
    for slot in range(3):
        builder.node(5 + slot, "Any")
        builder.link(1, slot, 5 + slot, "value")
    assert [builder.prompt(CATALOG)[f"{5 + slot}"][1]["value"] for slot in range(3)] == [["1", 0]] * 3
    builder._at(1)["widgets_values"] = [3, "single", "create"]
    with pytest.raises(CannotConvert, match=r"node 1 .*copies the node before it"):
        convert(builder.saved(), CATALOG)


def test_a_bridge_names_its_own_node() -> None:
    """convert names the node itself in a PreviewBridge, and keeps an edited image."""
    assert node_inputs(BRIDGE, ["$48-0"])["image"] == "$1-0"
    assert node_inputs(BRIDGE, ["clipspace/a.png [input]"])["image"] == "clipspace/a.png [input]"


@pytest.mark.parametrize(
    ("old", "new", "values", "sent"),
    [
        ("ConditioningAverage ", "ConditioningAverage", [0.5], {"strength": 0.5}),
        ("T2IAdapterLoader", "ControlNetLoader", ["n.pth"], {"control_net_name": "n.pth"}),
        ("SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning", [512], {"width": 512}),
    ],
)
def test_renamed_classes(old: str, new: str, values: Any, sent: Any) -> None:
    """convert loads a renamed class under its new name, also inside a subgraph."""
    inside, builder = WorkflowBuilder("s"), WorkflowBuilder()
    builder.definitions.append(inside)
    builder.node(1, "s")
    inside.node(5, old, values)
    assert builder.prompt(CATALOG) == {"1:5": (new, sent)}


def test_renamed_inputs_stay_linked() -> None:
    """convert renames the slots with the class, unless the catalog has the old class."""
    builder = WorkflowBuilder()
    builder.node(1, "T2IAdapterLoader", ["n.pth"])
    builder.node(2, "Quote", ["x"])
    builder.link(2, 0, 1, "t2i_adapter_name", "COMBO", widget=True)
    assert builder.prompt(CATALOG)["1"] == ("ControlNetLoader", {"control_net_name": ["2", 0]})
    old = Catalog.from_object_info({**CLASSES, "T2IAdapterLoader": node_class({"t2i_adapter_name": [["n.pth"]]})})
    assert builder.prompt(old)["1"] == ("T2IAdapterLoader", {"t2i_adapter_name": ["2", 0]})


def test_browser_images_of_inspire() -> None:
    """convert removes the placeholder of an image with a warning, and sends an image in the file."""
    builder = WorkflowBuilder()
    builder.node(1, INSPIRE, ["a.png", "[IMAGE DATA]", "image"])
    builder.node(2, INSPIRE, ["a.png", "data:image/png;base64,AAAA", "image"])
    conversion = convert(builder.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"] == {"image": "a.png"}
    assert conversion.prompt["2"]["inputs"]["image_data"] == "data:image/png;base64,AAAA"
    assert [(warning.node_id, warning.input) for warning in conversion.warnings] == [("1", "image_data")]


@pytest.mark.parametrize(
    ("values", "sent", "warned"),
    [([True, "data:1"], "data:1", 0), ([True, "[IMAGE DATA]"], "", 1), ([False, "data:1"], "", 0)],
)
def test_received_images_of_impact(values: list[Any], sent: str, warned: int) -> None:
    """convert sends a received image only if the file keeps it, and warns about a placeholder."""
    builder = WorkflowBuilder()
    builder.node(1, "ImageReceiver", values)
    conversion = convert(builder.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"]["image_data"] == sent
    assert len(conversion.warnings) == warned
