"""Tests of links: reroutes, bypassed nodes and muted nodes."""

from __future__ import annotations

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import Slot, UiNode
from worker.workflow.editor.slot_types import are_compatible, bypass_input

MUTED, BYPASSED = 2, 4


def chain(middle: str = "Blur", mode: int = 0) -> WorkflowBuilder:
    """Return a workflow in which an image goes through one node into another: 1 -> 2 -> 3."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, middle, None, mode)
    builder.node(3, "SaveImage", ["x"])
    builder.link(1, 0, 2, "image", "IMAGE")
    builder.link(2, 0, 3, "images", "IMAGE")
    return builder


def test_links_and_values_of_a_node() -> None:
    """convert writes a link as node id and slot, and a linked field keeps its position among the values."""
    assert chain().prompt() == {
        "1": ("Load", {"image": "a.png"}),
        "2": ("Blur", {"radius": 1, "image": ["1", 0]}),
        "3": ("SaveImage", {"filename_prefix": "x", "images": ["2", 0]}),
    }
    builder = WorkflowBuilder()
    builder.node(1, "Number", [64, "fixed"])
    builder.node(2, "Canvas", [640, 480])
    builder.link(1, 0, 2, "width", "INT", widget=True)
    assert builder.inputs_of(2) == {"width": ["1", 0], "height": 480}


def test_links_of_both_formats() -> None:
    """convert reads links as arrays (format 0.4) and as objects (format 1)."""
    saved = chain()
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    objects = chain()
    objects.links = [dict(zip(names, row, strict=True)) for row in objects.links]
    assert objects.prompt() == saved.prompt()


def test_saved_slots_are_matched_by_name() -> None:
    """convert matches slots by name and ignores their order in the file and the saved index of a link."""
    builder = chain()
    builder._at(2)["inputs"].insert(0, {"name": "radius", "type": "FLOAT", "widget": {"name": "radius"}, "link": None})
    assert builder.inputs_of(2)["image"] == ["1", 0]


def test_undeclared_inputs_are_kept_while_linked() -> None:
    """convert keeps a linked socket that the class does not declare, and drops such a field."""
    builder = chain()
    builder.link(1, 0, 3, "extra", "IMAGE")
    builder.link(1, 0, 3, "gone", "INT", widget=True)
    assert builder.inputs_of(3) == {"filename_prefix": "x", "images": ["2", 0], "extra": ["1", 0]}


def test_muted_nodes_pass_on_nothing() -> None:
    """convert leaves out a muted node and its links, and a linked field keeps its own value."""
    assert chain(mode=MUTED).inputs_of(3) == {"filename_prefix": "x"}
    builder = WorkflowBuilder()
    builder.node(1, "Number", [64, "fixed"], MUTED)
    builder.node(2, "Canvas", [640, 480])
    builder.link(1, 0, 2, "width", "INT", widget=True)
    assert builder.prompt() == {"2": ("Canvas", {"width": 640, "height": 480})}


def test_bypassed_nodes_pass_on_a_fitting_input() -> None:
    """convert links the source of the input that has the type of the bypassed output."""
    assert chain(mode=BYPASSED).inputs_of(3) == {"filename_prefix": "x", "images": ["1", 0]}


def test_a_bypassed_node_without_a_fitting_input() -> None:
    """convert links nothing when no input of a bypassed node fits."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"], BYPASSED)
    builder.node(2, "SaveImage", ["x"])
    builder.link(1, 0, 2, "images", "IMAGE")
    assert builder.prompt() == {"2": ("SaveImage", {"filename_prefix": "x"})}


def test_choice_of_the_bypass_input() -> None:
    """bypass_input prefers the same index, then the exact type, then the first input that fits."""
    types = ("MODEL", "CLIP", "IMAGE,MASK", "MODEL")
    node = UiNode("1", "X", inputs=[Slot(kind, kind) for kind in types], outputs=["CLIP", "CLIP", "MASK", "MODEL", "X"])
    assert [bypass_input(node, slot, "*") for slot in (0, 1, 9)] == [0, 1, 0]
    assert bypass_input(node, 1, "CLIP") == 1
    assert bypass_input(node, 0, "CLIP") == 1
    assert bypass_input(node, 2, "MASK") == 2
    assert bypass_input(node, 3, "MODEL") == 3
    assert bypass_input(node, 4, "X") is None


def test_compatible_types() -> None:
    """are_compatible accepts `*`, lists with a common name, and names that differ in case."""
    assert are_compatible("*", "IMAGE")
    assert are_compatible("IMAGE,MASK", "mask,LATENT")
    assert not are_compatible("IMAGE", "MASK")


def test_reroutes_are_followed() -> None:
    """convert follows reroutes, and links nothing through a muted or unconnected one."""
    builder = chain("Reroute")
    builder._at(2)["inputs"][0]["name"] = ""
    assert builder.inputs_of(3) == {"filename_prefix": "x", "images": ["1", 0]}
    builder._at(2)["mode"] = MUTED
    assert builder.inputs_of(3) == {"filename_prefix": "x"}
    builder._at(2)["mode"] = 0
    builder._at(2)["inputs"][0]["link"] = None
    assert builder.inputs_of(3) == {"filename_prefix": "x"}


def test_a_bypass_before_a_reroute_uses_the_target_type() -> None:
    """convert chooses the bypass input by the type of the final target and not by that of a reroute."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, "Mask", None, BYPASSED)
    builder.node(3, "Reroute")
    builder.node(4, "SaveImage", ["x"])
    builder.link(1, 1, 2, "mask", "MASK")
    builder.link(2, 0, 3, "", "*")
    builder.link(3, 0, 4, "images", "IMAGE")
    assert builder.inputs_of(4) == {"filename_prefix": "x"}


def test_set_and_get_nodes_are_a_link() -> None:
    """convert links a GetNode to the source of the SetNode with its name, and to nothing without one."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, "SetNode", ["picture"])
    builder.node(3, "GetNode", ["picture"])
    builder.node(4, "SaveImage", ["x"])
    builder.link(1, 0, 2, "IMAGE", "IMAGE")
    builder.link(3, 0, 4, "images", "IMAGE")
    assert builder.prompt().keys() == {"1", "4"}
    assert builder.inputs_of(4)["images"] == ["1", 0]
    builder._at(3)["widgets_values"] = ["other"]
    assert "images" not in builder.inputs_of(4)


def test_catalog_classes_win_over_browser_nodes() -> None:
    """convert runs a catalog class even if a browser node has its name, except for the editor's own nodes."""
    catalog = Catalog.from_object_info(CLASSES | {name: node_class({}) for name in ("GetNode", "Note")})
    builder = WorkflowBuilder()
    builder.node(1, "GetNode")
    builder.node(2, "Note", ["hello"])
    assert builder.prompt(catalog).keys() == {"1"}


def test_notes_are_left_out() -> None:
    """convert leaves out notes and other nodes that only the editor shows."""
    builder = chain()
    builder.node(8, "Note", ["hello"])
    builder.node(9, "MarkdownNote", ["# hello"])
    builder.node(10, "Fast Groups Muter (rgthree)")
    assert set(builder.prompt()) == {"1", "2", "3"}


def test_autogrow_slots_keep_their_names() -> None:
    """convert keeps gaps in the numbers of autogrow slots, and slots beyond the initial ones."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 64])
    builder.node(2, "Grow")
    for place in (0, 2, 3):
        builder.link(1, 0, 2, f"images.image{place}", "IMAGE")
    source = ["1", 0]
    assert builder.inputs_of(2) == {"images.image0": source, "images.image2": source, "images.image3": source}


def test_links_into_a_dynamic_combo() -> None:
    """convert keeps a link into a dynamic combo only if the chosen option has the slot."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 64])
    builder.node(2, "Choose", ["large", "x", 0.5, 3, "fixed"])
    builder.link(1, 0, 2, "model.image", "IMAGE")
    assert builder.inputs_of(2)["model.image"] == ["1", 0]
    builder._at(2)["widgets_values"] = ["small", 4, 3, "fixed"]
    assert "model.image" not in builder.inputs_of(2)


def test_match_groups_share_a_type() -> None:
    """convert gives slots of a match group the type that is linked into the others."""
    same = ["COMFY_MATCHTYPE_V3", {"template": {"template_id": "T", "allowed_types": "*"}}]
    catalog = Catalog.from_object_info(CLASSES | {"Switch": node_class({"off": same, "on": same}, ["*"])})
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, "Mask", None, BYPASSED)
    builder.node(3, "Switch")
    builder.link(1, 1, 2, "mask", "MASK")
    builder.link(2, 0, 3, "on", "MASK")
    assert builder.prompt(catalog)["3"][1] == {"on": ["1", 1]}
    builder.link(1, 0, 3, "off", "IMAGE")
    assert builder.prompt(catalog)["3"][1] == {"off": ["1", 0]}


def test_bypass_of_an_output_that_does_not_exist() -> None:
    """bypass_input returns the first input for an unknown output when the target accepts any type."""
    node = UiNode("1", "X", inputs=[Slot("a", "IMAGE"), Slot("b", "MASK")])
    assert [bypass_input(node, output, "*") for output in (-5, 1, 7)] == [0, 1, 0]
