"""Subgraphs: opened in place, with the values that each instance has for itself."""

from __future__ import annotations

from tests.workflow.editor.workflow_builder import WorkflowBuilder

BLUR = "11111111-1111-4111-8111-111111111111"
OUTER = "22222222-2222-4222-8222-222222222222"


def blurring() -> WorkflowBuilder:
    """A subgraph with a picture in and out, and a field that it shows."""
    inside = WorkflowBuilder(BLUR)
    inside.node(5, "Blur", [2.5])
    inside.port("image", "IMAGE", (5, "image"))
    inside.port("amount", "FLOAT", (5, "radius"), widget=True)
    inside.result("IMAGE", "IMAGE", 5)
    return inside


def using(
    *instances: tuple[int, object], inside: WorkflowBuilder | None = None, kind: str = BLUR, **more: object
) -> WorkflowBuilder:
    """A picture, instances of a subgraph one behind the other, and where it is saved (node 9)."""
    drawing = WorkflowBuilder()
    drawing.definitions = [inside or blurring()]
    last = drawing.node(1, "Canvas", [64, 64])
    for number, values in instances:
        drawing.node(number, kind, values, **more)
        drawing.link(last, 0, number, "image", "IMAGE")
        last = number
    drawing.node(9, "SaveImage", ["x"])
    drawing.link(last, 0, 9, "images", "IMAGE")
    return drawing


def test_nodes_inside_have_the_path_as_id() -> None:
    """`instance:node`; links lead in and out, the instance itself is no node."""
    assert using((2, [])).prompt() == {
        "1": ("Canvas", {"width": 64, "height": 64}),
        "2:5": ("Blur", {"radius": 2.5, "image": ["1", 0]}),
        "9": ("SaveImage", {"filename_prefix": "x", "images": ["2:5", 0]}),
    }


def test_instances_have_values_of_their_own() -> None:
    """What is shown outside beats what is inside, for each instance."""
    prompt = using((2, [3.5]), (3, [4.5])).prompt()
    assert (prompt["2:5"][1]["radius"], prompt["3:5"][1]["radius"]) == (3.5, 4.5)
    assert prompt["3:5"][1]["image"] == ["2:5", 0]


def test_a_linked_field_of_an_instance() -> None:
    """What is linked in from outside beats every value."""
    drawing = using((2, [3.5]))
    drawing.node(7, "Any")
    drawing.link(7, 0, 2, "amount", "FLOAT", widget=True)
    assert drawing.inputs_of("2:5")["radius"] == ["7", 0]


def test_subgraphs_in_subgraphs() -> None:
    """The path grows, and a field that is shown twice has the outermost value."""
    outer = WorkflowBuilder(OUTER)
    outer.node(6, BLUR, [3.5])
    outer.port("image", "IMAGE", (6, "image"))
    outer.port("amount", "FLOAT", (6, "amount"), widget=True)
    outer.result("IMAGE", "IMAGE", 6)
    drawing = using((2, []), inside=outer, kind=OUTER)
    drawing.definitions.append(blurring())
    assert drawing.inputs_of("2:6:5") == {"radius": 3.5, "image": ["1", 0]}
    drawing._at(2)["widgets_values"] = [4.5]
    assert drawing.inputs_of("2:6:5")["radius"] == 4.5
    assert drawing.inputs_of(9)["images"] == ["2:6:5", 0]


def test_ids_inside_that_are_taken_outside_are_changed() -> None:
    """The workflow's own nodes keep theirs, those inside get the next free one."""
    inside = WorkflowBuilder(BLUR)
    inside.node(1, "Blur", [2.5])
    inside.port("image", "IMAGE", (1, "image"))
    inside.result("IMAGE", "IMAGE", 1)
    drawing = using((2, []), inside=inside)
    assert drawing.inputs_of(9)["images"] == ["2:3", 0]
    saved = {**drawing.saved(), "last_node_id": 40}
    drawing.saved = lambda: saved  # type: ignore[method-assign]
    assert drawing.inputs_of(9)["images"] == ["2:41", 0]


def test_a_muted_or_bypassed_instance() -> None:
    """Nothing inside runs; bypassed, what goes in comes out."""
    assert set(using((2, []), mode=2).prompt()) == {"1", "9"}
    prompt = using((2, []), mode=4).prompt()
    assert set(prompt) == {"1", "9"}
    assert prompt["9"][1]["images"] == ["1", 0]


def test_an_input_led_straight_to_an_output() -> None:
    """What is linked in comes out."""
    inside = WorkflowBuilder(BLUR)
    inside.port("image", "IMAGE")
    inside.result("IMAGE", "IMAGE", -10)
    assert using((2, []), inside=inside).inputs_of(9)["images"] == ["1", 0]


def test_fields_shown_by_proxy() -> None:
    """Each becomes an input with the instance's value in the same place; null leaves what is inside."""
    inside = WorkflowBuilder(BLUR)
    inside.node(5, "Mix", ["fill"])
    inside.node(6, "Blur", [2.5])
    inside.link(5, 0, 6, "image", "IMAGE")
    inside.port("image", "IMAGE", (5, "a"))
    inside.result("IMAGE", "IMAGE", 6)
    proxies = {"proxyWidgets": [["5", "how"], ["6", "radius"]]}
    first = using((2, ["fit", 7]), (3, [None, 8]), inside=inside, properties=proxies).prompt()
    assert (first["2:5"][1]["how"], first["2:6"][1]["radius"]) == ("fit", 7)
    assert (first["3:5"][1]["how"], first["3:6"][1]["radius"]) == ("fill", 8)


def test_a_proxy_of_an_input_that_is_there() -> None:
    """Its value is the one in its own place, whatever the order of the inputs."""
    drawing = using((2, ["other", 7]), properties={"proxyWidgets": [["99", "gone"], ["5", "radius"]]})
    assert drawing.inputs_of("2:5")["radius"] == 7
    drawing = using((2, [6]), properties={"proxyWidgets": [["-1", "amount"]]})
    assert drawing.inputs_of("2:5")["radius"] == 6


def test_a_proxy_of_a_primitive() -> None:
    """The input feeds what the primitive fed."""
    inside = WorkflowBuilder(BLUR)
    inside.node(4, "PrimitiveNode", [5.5, "fixed"])
    inside.node(5, "Blur", [2.5])
    inside.link(4, 0, 5, "radius", "FLOAT", widget=True)
    inside.links[-1]["target_slot"] = 1
    inside.port("image", "IMAGE", (5, "image"))
    inside.result("IMAGE", "IMAGE", 5)
    proxies = {"proxyWidgets": [["4", "value"]]}
    assert using((2, [8.5]), inside=inside, properties=proxies).inputs_of("2:5")["radius"] == 8.5
