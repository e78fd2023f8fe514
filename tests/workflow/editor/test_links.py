"""What a node's input is linked to, after reroutes, bypasses and mutes."""

from __future__ import annotations

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import Slot, UiNode
from worker.workflow.editor.slot_types import are_compatible, bypass_input

MUTED, BYPASSED = 2, 4


def chain(middle: str = "Blur", mode: int = 0) -> WorkflowBuilder:
    """A picture through one node into another: 1 -> 2 -> 3."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, middle, None, mode)
    drawing.node(3, "SaveImage", ["x"])
    drawing.link(1, 0, 2, "image", "IMAGE")
    drawing.link(2, 0, 3, "images", "IMAGE")
    return drawing


def test_links_and_values_of_one_node() -> None:
    """A link is the source's id, as text, and its slot; a linked field keeps its place among the values."""
    assert chain().prompt() == {
        "1": ("Load", {"image": "a.png"}),
        "2": ("Blur", {"radius": 1, "image": ["1", 0]}),
        "3": ("SaveImage", {"filename_prefix": "x", "images": ["2", 0]}),
    }
    drawing = WorkflowBuilder()
    drawing.node(1, "Number", [64, "fixed"])
    drawing.node(2, "Canvas", [640, 480])
    drawing.link(1, 0, 2, "width", "INT", widget=True)
    assert drawing.inputs_of(2) == {"width": ["1", 0], "height": 480}


def test_links_of_both_formats() -> None:
    """Rows in format 0.4, objects in format 1."""
    saved = chain()
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    objects = chain()
    objects.links = [dict(zip(names, row, strict=True)) for row in objects.links]
    assert objects.prompt() == saved.prompt()


def test_saved_slots_are_matched_by_name() -> None:
    """Their order in the file, and the place that a link says it ends in, count for nothing."""
    drawing = chain()
    drawing._at(2)["inputs"].insert(0, {"name": "radius", "type": "FLOAT", "widget": {"name": "radius"}, "link": None})
    assert drawing.inputs_of(2)["image"] == ["1", 0]


def test_an_input_that_the_class_has_not_is_kept_while_it_is_linked() -> None:
    """Scripts of packs add some; one that says it is a field, without a field, is dropped."""
    drawing = chain()
    drawing.link(1, 0, 3, "extra", "IMAGE")
    drawing.link(1, 0, 3, "gone", "INT", widget=True)
    assert drawing.inputs_of(3) == {"filename_prefix": "x", "images": ["2", 0], "extra": ["1", 0]}


def test_muted_nodes_hand_on_nothing() -> None:
    """The node and the links from it are gone, a field that was linked keeps its own value."""
    assert chain(mode=MUTED).inputs_of(3) == {"filename_prefix": "x"}
    drawing = WorkflowBuilder()
    drawing.node(1, "Number", [64, "fixed"], MUTED)
    drawing.node(2, "Canvas", [640, 480])
    drawing.link(1, 0, 2, "width", "INT", widget=True)
    assert drawing.prompt() == {"2": ("Canvas", {"width": 640, "height": 480})}


def test_bypassed_nodes_hand_on_what_fits() -> None:
    """The source of the input with the output's type takes the node's place."""
    assert chain(mode=BYPASSED).inputs_of(3) == {"filename_prefix": "x", "images": ["1", 0]}


def test_bypassed_without_anything_that_fits() -> None:
    """Then nothing is linked."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"], BYPASSED)
    drawing.node(2, "SaveImage", ["x"])
    drawing.link(1, 0, 2, "images", "IMAGE")
    assert drawing.prompt() == {"2": ("SaveImage", {"filename_prefix": "x"})}


def test_which_input_a_bypass_takes() -> None:
    """For any type the same place, or the first; else the same place if it fits; else the first of that type."""
    types = ("MODEL", "CLIP", "IMAGE,MASK", "MODEL")
    node = UiNode("1", "X", inputs=[Slot(kind, kind) for kind in types], outputs=["CLIP", "CLIP", "MASK", "MODEL", "X"])
    assert [bypass_input(node, slot, "*") for slot in (0, 1, 9)] == [0, 1, 0]
    assert bypass_input(node, 1, "CLIP") == 1
    assert bypass_input(node, 0, "CLIP") == 1
    assert bypass_input(node, 2, "MASK") == 2
    assert bypass_input(node, 3, "MODEL") == 3
    assert bypass_input(node, 4, "X") is None


def test_types_that_fit() -> None:
    """Any fits all; lists fit where they share one; case doesn't count."""
    assert are_compatible("*", "IMAGE")
    assert are_compatible("IMAGE,MASK", "mask,LATENT")
    assert not are_compatible("IMAGE", "MASK")


def test_reroutes_are_followed() -> None:
    """Several in a row, muted ones not; one that nothing is linked into gives nothing."""
    drawing = chain("Reroute")
    drawing._at(2)["inputs"][0]["name"] = ""
    assert drawing.inputs_of(3) == {"filename_prefix": "x", "images": ["1", 0]}
    drawing._at(2)["mode"] = MUTED
    assert drawing.inputs_of(3) == {"filename_prefix": "x"}
    drawing._at(2)["mode"] = 0
    drawing._at(2)["inputs"][0]["link"] = None
    assert drawing.inputs_of(3) == {"filename_prefix": "x"}


def test_a_bypass_behind_a_reroute_gives_the_type_that_is_wanted() -> None:
    """The type of the input at the far end decides, not the reroute's."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, "Mask", None, BYPASSED)
    drawing.node(3, "Reroute")
    drawing.node(4, "SaveImage", ["x"])
    drawing.link(1, 1, 2, "mask", "MASK")
    drawing.link(2, 0, 3, "", "*")
    drawing.link(3, 0, 4, "images", "IMAGE")
    assert drawing.inputs_of(4) == {"filename_prefix": "x"}


def test_names_that_are_set_and_got() -> None:
    """A well-known pack's pair of nodes is a link without a line; a name that nobody set is none."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, "SetNode", ["picture"])
    drawing.node(3, "GetNode", ["picture"])
    drawing.node(4, "SaveImage", ["x"])
    drawing.link(1, 0, 2, "IMAGE", "IMAGE")
    drawing.link(3, 0, 4, "images", "IMAGE")
    assert drawing.prompt().keys() == {"1", "4"}
    assert drawing.inputs_of(4)["images"] == ["1", 0]
    drawing._at(3)["widgets_values"] = ["other"]
    assert "images" not in drawing.inputs_of(4)


def test_a_class_of_the_catalog_beats_a_name_for_browsers() -> None:
    """Whatever a pack calls its classes, they run; but for the editor's own names."""
    catalog = Catalog.from_object_info(CLASSES | {name: node_class({}) for name in ("GetNode", "Note")})
    drawing = WorkflowBuilder()
    drawing.node(1, "GetNode")
    drawing.node(2, "Note", ["hello"])
    assert drawing.prompt(catalog).keys() == {"1"}


def test_notes_are_no_nodes() -> None:
    """Nor are other things that only the editor shows."""
    drawing = chain()
    drawing.node(8, "Note", ["hello"])
    drawing.node(9, "MarkdownNote", ["# hello"])
    drawing.node(10, "Fast Groups Muter (rgthree)")
    assert set(drawing.prompt()) == {"1", "2", "3"}


def test_autogrow_slots_keep_their_names() -> None:
    """Gaps stay, and slots beyond those that are there at first are found."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(2, "Grow")
    for place in (0, 2, 3):
        drawing.link(1, 0, 2, f"images.image{place}", "IMAGE")
    source = ["1", 0]
    assert drawing.inputs_of(2) == {"images.image0": source, "images.image2": source, "images.image3": source}


def test_links_into_a_dynamic_combo() -> None:
    """Stay with an option that has the slot, and go with one that hasn't."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(2, "Choose", ["large", "x", 0.5, 3, "fixed"])
    drawing.link(1, 0, 2, "model.image", "IMAGE")
    assert drawing.inputs_of(2)["model.image"] == ["1", 0]
    drawing._at(2)["widgets_values"] = ["small", 4, 3, "fixed"]
    assert "model.image" not in drawing.inputs_of(2)


def test_slots_of_one_type_take_it_from_each_other() -> None:
    """So a bypass before one knows what is wanted there, though the class says it takes anything."""
    same = ["COMFY_MATCHTYPE_V3", {"template": {"template_id": "T", "allowed_types": "*"}}]
    catalog = Catalog.from_object_info(CLASSES | {"Switch": node_class({"off": same, "on": same}, ["*"])})
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, "Mask", None, BYPASSED)
    drawing.node(3, "Switch")
    drawing.link(1, 1, 2, "mask", "MASK")
    drawing.link(2, 0, 3, "on", "MASK")
    assert drawing.prompt(catalog)["3"][1] == {"on": ["1", 1]}
    drawing.link(1, 0, 3, "off", "IMAGE")
    assert drawing.prompt(catalog)["3"][1] == {"off": ["1", 0]}


def test_an_output_that_no_node_has() -> None:
    """A bypassed node takes its first input for it where any type is wanted."""
    node = UiNode("1", "X", inputs=[Slot("a", "IMAGE"), Slot("b", "MASK")])
    assert [bypass_input(node, output, "*") for output in (-5, 1, 7)] == [0, 1, 0]
