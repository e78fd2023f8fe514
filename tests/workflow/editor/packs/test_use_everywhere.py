"""Tests of the broadcasts of cg-use-everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.packs.senders import (
    INSIDE,
    WITHOUT,
    add_canvas,
    add_sender,
    node_inputs,
    received_image,
    settings,
)
from tests.workflow.editor.workflow_builder import WorkflowBuilder
from worker.workflow.editor import convert


def test_unconnected_inputs_of_the_type_receive() -> None:
    """convert links every unconnected input of the type, keeps existing links, and sends the sender itself."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    add_canvas(builder, 2)
    for number in (3, 4):
        builder.node(number, "Blur", [1.0])
    builder.link(2, 0, 4, "image", "IMAGE")
    add_sender(builder, 5, 1)
    assert node_inputs(builder, 3)["image"] == ["1", 0]
    assert node_inputs(builder, 4)["image"] == ["2", 0]
    assert node_inputs(builder, 5) == {"anything": ["1", 0]}


def test_one_sender_with_several_inputs() -> None:
    """convert broadcasts each input of a sender, in both forms of the class."""
    for kind, names in (
        ("Anything Everywhere3", ("anything", "anything2")),
        ("Anything Everywhere", ("a", "anything11")),
    ):
        builder = WorkflowBuilder()
        add_canvas(builder)
        builder.node(2, "Load", ["a.png", "image"])
        builder.node(3, "Blur", [1.0])
        builder.node(4, "Mask")
        builder.node(5, kind, [], properties=settings())
        builder.link(1, 0, 5, names[0], "IMAGE")
        builder.link(2, 1, 5, names[1], "MASK")
        assert node_inputs(builder, 3)["image"] == ["1", 0]
        assert node_inputs(builder, 4)["mask"] == ["2", 1]


def test_a_server_without_the_pack() -> None:
    """convert leaves the senders out if the catalog does not have their class."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    builder.node(3, "Blur", [1.0])
    add_sender(builder, 5, 1)
    prompt = convert(builder.saved(), WITHOUT).prompt
    assert prompt.keys() == {"1", "3"}
    assert prompt["3"]["inputs"]["image"] == ["1", 0]


@pytest.mark.parametrize(
    ("properties", "more", "reaches"),
    [
        ({}, {"type": "Anything Everywhere?", "values": ["my", ".*", ".*"]}, True),
        ({}, {"type": "Anything Everywhere?", "values": ["^other", ".*"]}, False),
        ({}, {"type": "Anything Everywhere?", "values": [".*", "^im", ".*"]}, True),
        ({}, {"type": "Anything Everywhere?", "values": [".*", "mask", ".*"]}, False),
        ({}, {"type": "Anything Everywhere?", "values": [".*", ".*", "^G1$"]}, True),
        ({}, {"type": "Anything Everywhere?", "values": [".*", ".*", "G3"]}, False),
        ({}, {"type": "Anything Everywhere?", "values": ["(", "", ""]}, True),
        ({"group_restricted": 1}, {}, False),
        ({"group_restricted": True}, {}, False),
        ({"color_restricted": 2}, {}, True),
        (settings(title_regex="my", title_regex_invert=True), {}, False),
        (settings(title_regex="my"), {}, True),
        (settings(input_regex="mask"), {"type": "Anything Everywhere?", "values": ["x", "y", "z"]}, False),
        (settings(group_regex="G1"), {}, True),
        (settings(group_regex="G1", group_regex_invert=True), {}, False),
        (settings(group_restricted=2), {}, True),
        (settings(color_restricted=1), {"color": "red"}, True),
        (settings(color_restricted=1), {"color": "blue"}, False),
        (settings(color_restricted=2), {"color": "red"}, False),
        ({}, {"mode": 2}, False),
        ({}, {"mode": 4}, False),
    ],
)
def test_restrictions(properties: dict[str, Any], more: dict[str, Any], reaches: bool) -> None:
    """convert applies filters by title, input, group and color in both saved forms, and ignores disabled senders."""
    assert received_image(properties, **more) == (["1", 0] if reaches else None)


def test_the_higher_priority_wins() -> None:
    """convert links the broadcast of higher priority, and none of two with equal priority."""

    def winner(first: dict[str, Any], second: dict[str, Any]) -> Any:
        """Return the source that a node receives from two senders with these properties."""
        builder = WorkflowBuilder()
        add_canvas(builder)
        add_canvas(builder, 2)
        builder.node(3, "Blur", [1.0])
        add_sender(builder, 4, 1, properties=first)
        add_sender(builder, 5, 2, properties=second)
        return node_inputs(builder, 3).get("image")

    assert winner(settings(), settings()) is None
    assert winner(settings(priority=5), settings()) == ["2", 0]
    assert winner(settings(input_regex="image"), settings()) == ["1", 0]


def test_prompts_everywhere() -> None:
    """convert links one prompt to all inputs of its type, and two prompts by the names of the inputs."""
    builder = WorkflowBuilder()
    for number in (1, 2):
        builder.node(number, "Load", ["a.png", "image"])
    builder.node(3, "Play")
    builder.node(4, "Prompts Everywhere")
    builder.link(1, 1, 4, "positive", "MASK")
    assert node_inputs(builder, 3) == {"positive": ["1", 1], "negative": ["1", 1]}
    builder.link(2, 1, 4, "negative", "MASK")
    assert node_inputs(builder, 3) == {"positive": ["1", 1], "negative": ["2", 1]}


@pytest.mark.parametrize(
    ("rule", "label", "reaches"),
    [
        (0, "positive", True),
        (0, "pos", False),
        (1, "pos", True),
        (2, "tive", True),
        (3, "player", True),
        (4, "^po", True),
    ],
)
def test_several_values_of_one_type(rule: int, label: str, reaches: bool) -> None:
    """convert chooses the input by the sender's name rule."""
    builder = WorkflowBuilder()
    for number in (1, 2):
        builder.node(number, "Load", ["a.png", "image"])
    builder.node(3, "Play", title="player")
    builder.node(4, "Anything Everywhere", [], properties=settings(repeated_type_rule=rule))
    builder.link(1, 1, 4, "anything", "MASK")
    builder.link(2, 1, 4, "anything2", "MASK")
    builder.nodes[-1]["inputs"][0]["label"] = label
    builder.nodes[-1]["inputs"][1]["label"] = "zzz"
    assert node_inputs(builder, 3).get("positive") == (["1", 1] if reaches else None)


def test_fields_receive_if_the_file_says_so() -> None:
    """convert links a field only if the file lists it, or for older editors if it was converted to an input."""
    builder = WorkflowBuilder()
    builder.node(1, "Number", [7, "fixed"])
    builder.node(2, "Sample", [1, "fixed", 20, "fit"], properties={"widget_ue_connectable": {"steps": True}})
    builder.node(
        3, "Sample", [1, "fixed", 20, "fit"], inputs=[{"name": "seed", "type": "INT", "widget": {"name": "seed"}}]
    )
    builder.node(4, "Sample", [1, "fixed", 20, "fit"], properties=settings(widget_ue_connectable={"seed": False}))
    add_sender(builder, 5, 1, kind="INT")
    assert node_inputs(builder, 2) == {"seed": 1, "steps": ["1", 0], "how": "fit"}
    assert node_inputs(builder, 3) == {"seed": ["1", 0], "steps": 20, "how": "fit"}
    assert node_inputs(builder, 4)["seed"] == 1


def test_seed_everywhere() -> None:
    """convert links Seed Everywhere to seed fields that accept broadcasts."""
    builder = WorkflowBuilder()
    builder.node(1, "Seed Everywhere", [77, "fixed"], properties=settings())
    connectable = settings(widget_ue_connectable={"seed": True, "steps": True})
    builder.node(2, "Sample", [1, "fixed", 20, "fit"], properties=connectable)
    assert node_inputs(builder, 2) == {"seed": ["1", 0], "steps": 20, "how": "fit"}


def test_nodes_and_inputs_that_reject() -> None:
    """convert skips nodes and inputs that reject broadcasts."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    builder.node(2, "Blur", [1.0], properties={"rejects_ue_links": True})
    builder.node(3, "Blur", [1.0], properties=settings(input_ue_unconnectable={"image": True}))
    add_sender(builder, 4, 1)
    assert "image" not in node_inputs(builder, 2)
    assert "image" not in node_inputs(builder, 3)


def test_any_node_may_send_its_outputs() -> None:
    """convert broadcasts the outputs of a node with *Add UE broadcasting*, except for excluded ones."""
    builder = WorkflowBuilder()
    silent = {"output_not_broadcasting": {"MASK": True}}
    builder.node(1, "Load", ["a.png", "image"], properties={"ue_convert": True, **settings(**silent)})
    builder.node(2, "Blur", [1.0])
    builder.node(3, "Mask")
    assert node_inputs(builder, 2)["image"] == ["1", 0]
    assert "mask" not in node_inputs(builder, 3)


def test_sources_behind_bypassed_and_muted_nodes() -> None:
    """convert broadcasts what a bypassed node or a reroute passes on, and nothing from a muted node."""
    for mode, expected in ((0, ["2", 0]), (4, ["1", 0]), (2, None)):
        builder = WorkflowBuilder()
        add_canvas(builder)
        builder.node(2, "Blur", [1.0], mode=mode)
        builder.link(1, 0, 2, "image", "IMAGE")
        builder.node(4, "Blur", [1.0])
        add_sender(builder, 5, 2)
        assert node_inputs(builder, 4).get("image") == expected
    builder = WorkflowBuilder()
    add_canvas(builder)
    builder.node(3, "Reroute")
    builder.link(1, 0, 3, "", "*")
    builder.node(4, "Blur", [1.0])
    add_sender(builder, 5, 3, kind="*")
    assert node_inputs(builder, 4)["image"] == ["1", 0]


def test_broken_and_temporary_links_are_replaced() -> None:
    """convert replaces broken links and links that the pack had added for saving, if a broadcast reaches the input."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    add_canvas(builder, 2)
    builder.node(3, "Blur", [1.0], inputs=[{"name": "image", "type": "IMAGE", "link": 99}])
    add_sender(builder, 4, 1)
    assert node_inputs(builder, 3)["image"] == ["1", 0]
    number = builder.link(2, 0, 3, "image", "IMAGE")
    assert node_inputs(builder, 3, extra={"links_added_by_ue": [number]})["image"] == ["1", 0]
    builder.nodes[3]["mode"] = 2
    assert node_inputs(builder, 3, extra={"links_added_by_ue": [number]})["image"] == ["2", 0]


def test_subgraphs() -> None:
    """convert links a broadcast to subgraph instances but not inside, and an inner one to the subgraph's outputs."""
    inside = WorkflowBuilder(INSIDE)
    inside.node(10, "Blur", [1.0])
    inside.node(11, "Blur", [2.0])
    inside.add_input("picture", "IMAGE", (10, "image"))
    inside.outputs.append({"name": "out", "type": "IMAGE", "linkIds": []})
    add_sender(inside, 12, 10)
    builder = WorkflowBuilder()
    add_canvas(builder)
    builder.node(2, INSIDE, [])
    builder.node(3, "SaveImage", ["x"])
    builder.link(2, 0, 3, "images", "IMAGE")
    add_sender(builder, 4, 1)
    builder.definitions.append(inside)
    assert node_inputs(builder, "2:10")["image"] == ["1", 0]
    assert node_inputs(builder, "2:11")["image"] == ["2:10", 0]
    assert node_inputs(builder, 3)["images"] == ["2:10", 0]
