"""cg-use-everywhere: what its nodes send reaches the inputs that the editor links before it queues."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.packs.senders import (
    INSIDE,
    WITHOUT,
    canvas,
    inputs,
    sender,
    sent,
    settings,
)
from tests.workflow.editor.workflow_builder import WorkflowBuilder
from worker.workflow.editor import convert


def test_every_unconnected_input_of_the_type_gets_it() -> None:
    """Linked ones keep their link, and the sender itself is sent too."""
    drawing = WorkflowBuilder()
    canvas(drawing)
    canvas(drawing, 2)
    for number in (3, 4):
        drawing.node(number, "Blur", [1.0])
    drawing.link(2, 0, 4, "image", "IMAGE")
    sender(drawing, 5, 1)
    assert inputs(drawing, 3)["image"] == ["1", 0]
    assert inputs(drawing, 4)["image"] == ["2", 0]
    assert inputs(drawing, 5) == {"anything": ["1", 0]}


def test_several_things_are_sent_by_one_node() -> None:
    """The three slots of the older class, and as many as version 7 adds."""
    for kind, names in (
        ("Anything Everywhere3", ("anything", "anything2")),
        ("Anything Everywhere", ("a", "anything11")),
    ):
        drawing = WorkflowBuilder()
        canvas(drawing)
        drawing.node(2, "Load", ["a.png", "image"])
        drawing.node(3, "Blur", [1.0])
        drawing.node(4, "Mask")
        drawing.node(5, kind, [], properties=settings())
        drawing.link(1, 0, 5, names[0], "IMAGE")
        drawing.link(2, 1, 5, names[1], "MASK")
        assert inputs(drawing, 3)["image"] == ["1", 0]
        assert inputs(drawing, 4)["mask"] == ["2", 1]


def test_a_server_without_the_pack() -> None:
    """Its nodes only act in the browser, so the prompt needs none of them."""
    drawing = WorkflowBuilder()
    canvas(drawing)
    drawing.node(3, "Blur", [1.0])
    sender(drawing, 5, 1)
    prompt = convert(drawing.saved(), WITHOUT).prompt
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
    """By title, input, group and colour, in both forms that the pack has saved; silent senders send nothing."""
    assert sent(properties, **more) == (["1", 0] if reaches else None)


def test_the_higher_priority_wins() -> None:
    """Of two that are equal neither reaches anything."""

    def winner(first: dict[str, Any], second: dict[str, Any]) -> Any:
        drawing = WorkflowBuilder()
        canvas(drawing)
        canvas(drawing, 2)
        drawing.node(3, "Blur", [1.0])
        sender(drawing, 4, 1, properties=first)
        sender(drawing, 5, 2, properties=second)
        return inputs(drawing, 3).get("image")

    assert winner(settings(), settings()) is None
    assert winner(settings(priority=5), settings()) == ["2", 0]
    assert winner(settings(input_regex="image"), settings()) == ["1", 0]


def test_prompts() -> None:
    """Two of one type reach the inputs of their names, one alone every input of its type."""
    drawing = WorkflowBuilder()
    for number in (1, 2):
        drawing.node(number, "Load", ["a.png", "image"])
    drawing.node(3, "Play")
    drawing.node(4, "Prompts Everywhere")
    drawing.link(1, 1, 4, "positive", "MASK")
    assert inputs(drawing, 3) == {"positive": ["1", 1], "negative": ["1", 1]}
    drawing.link(2, 1, 4, "negative", "MASK")
    assert inputs(drawing, 3) == {"positive": ["1", 1], "negative": ["2", 1]}


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
def test_several_of_one_type(rule: int, label: str, reaches: bool) -> None:
    """They go where the input's name, or the node's title, is that of the slot."""
    drawing = WorkflowBuilder()
    for number in (1, 2):
        drawing.node(number, "Load", ["a.png", "image"])
    drawing.node(3, "Play", title="player")
    drawing.node(4, "Anything Everywhere", [], properties=settings(repeated_type_rule=rule))
    drawing.link(1, 1, 4, "anything", "MASK")
    drawing.link(2, 1, 4, "anything2", "MASK")
    drawing.nodes[-1]["inputs"][0]["label"] = label
    drawing.nodes[-1]["inputs"][1]["label"] = "zzz"
    assert inputs(drawing, 3).get("positive") == (["1", 1] if reaches else None)


def test_fields_receive_where_the_file_says_so() -> None:
    """By name since version 6; before ComfyUI 1.16 those that were made inputs."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Number", [7, "fixed"])
    drawing.node(2, "Sample", [1, "fixed", 20, "fit"], properties={"widget_ue_connectable": {"steps": True}})
    drawing.node(
        3, "Sample", [1, "fixed", 20, "fit"], inputs=[{"name": "seed", "type": "INT", "widget": {"name": "seed"}}]
    )
    drawing.node(4, "Sample", [1, "fixed", 20, "fit"], properties=settings(widget_ue_connectable={"seed": False}))
    sender(drawing, 5, 1, kind="INT")
    assert inputs(drawing, 2) == {"seed": 1, "steps": ["1", 0], "how": "fit"}
    assert inputs(drawing, 3) == {"seed": ["1", 0], "steps": 20, "how": "fit"}
    assert inputs(drawing, 4)["seed"] == 1


def test_a_seed_goes_to_seeds() -> None:
    """Where they are fields that receive."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Seed Everywhere", [77, "fixed"], properties=settings())
    connectable = settings(widget_ue_connectable={"seed": True, "steps": True})
    drawing.node(2, "Sample", [1, "fixed", 20, "fit"], properties=connectable)
    assert inputs(drawing, 2) == {"seed": ["1", 0], "steps": 20, "how": "fit"}


def test_nodes_and_inputs_that_refuse() -> None:
    """A node that rejects such links, and an input that was taken out."""
    drawing = WorkflowBuilder()
    canvas(drawing)
    drawing.node(2, "Blur", [1.0], properties={"rejects_ue_links": True})
    drawing.node(3, "Blur", [1.0], properties=settings(input_ue_unconnectable={"image": True}))
    sender(drawing, 4, 1)
    assert "image" not in inputs(drawing, 2)
    assert "image" not in inputs(drawing, 3)


def test_any_node_may_send_its_outputs() -> None:
    """With version 7, but for those that were taken out."""
    drawing = WorkflowBuilder()
    silent = {"output_not_broadcasting": {"MASK": True}}
    drawing.node(1, "Load", ["a.png", "image"], properties={"ue_convert": True, **settings(**silent)})
    drawing.node(2, "Blur", [1.0])
    drawing.node(3, "Mask")
    assert inputs(drawing, 2)["image"] == ["1", 0]
    assert "mask" not in inputs(drawing, 3)


def test_what_is_linked_into_a_sender() -> None:
    """What a bypassed node or a reroute hands on is sent, what a muted one makes is not."""
    for mode, expected in ((0, ["2", 0]), (4, ["1", 0]), (2, None)):
        drawing = WorkflowBuilder()
        canvas(drawing)
        drawing.node(2, "Blur", [1.0], mode=mode)
        drawing.link(1, 0, 2, "image", "IMAGE")
        drawing.node(4, "Blur", [1.0])
        sender(drawing, 5, 2)
        assert inputs(drawing, 4).get("image") == expected
    drawing = WorkflowBuilder()
    canvas(drawing)
    drawing.node(3, "Reroute")
    drawing.link(1, 0, 3, "", "*")
    drawing.node(4, "Blur", [1.0])
    sender(drawing, 5, 3, kind="*")
    assert inputs(drawing, 4)["image"] == ["1", 0]


def test_a_link_that_is_gone_is_replaced() -> None:
    """So is one that the pack made itself while a picture was saved, and one that nothing replaces stays."""
    drawing = WorkflowBuilder()
    canvas(drawing)
    canvas(drawing, 2)
    drawing.node(3, "Blur", [1.0], inputs=[{"name": "image", "type": "IMAGE", "link": 99}])
    sender(drawing, 4, 1)
    assert inputs(drawing, 3)["image"] == ["1", 0]
    number = drawing.link(2, 0, 3, "image", "IMAGE")
    assert inputs(drawing, 3, extra={"links_added_by_ue": [number]})["image"] == ["1", 0]
    drawing.nodes[3]["mode"] = 2
    assert inputs(drawing, 3, extra={"links_added_by_ue": [number]})["image"] == ["2", 0]


def test_subgraphs() -> None:
    """A sender reaches the instance of a subgraph, but nothing inside; one inside reaches the subgraph's outputs."""
    inside = WorkflowBuilder(INSIDE)
    inside.node(10, "Blur", [1.0])
    inside.node(11, "Blur", [2.0])
    inside.port("picture", "IMAGE", (10, "image"))
    inside.outputs.append({"name": "out", "type": "IMAGE", "linkIds": []})
    sender(inside, 12, 10)
    drawing = WorkflowBuilder()
    canvas(drawing)
    drawing.node(2, INSIDE, [])
    drawing.node(3, "SaveImage", ["x"])
    drawing.link(2, 0, 3, "images", "IMAGE")
    sender(drawing, 4, 1)
    drawing.definitions.append(inside)
    assert inputs(drawing, "2:10")["image"] == ["1", 0]
    assert inputs(drawing, "2:11")["image"] == ["2:10", 0]
    assert inputs(drawing, 3)["images"] == ["2:10", 0]
