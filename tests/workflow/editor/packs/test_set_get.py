"""Values that are set under a name in one place and got in others: KJNodes, and Easy-Use in one graph only."""

from __future__ import annotations

import pytest

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder
from worker.errors import CannotConvert
from worker.workflow.editor import Conversion, convert

MUTED, BYPASSED = 2, 4
PAIRS = [("SetNode", "GetNode"), ("easy setNode", "easy getNode")]


def set_under(drawing: WorkflowBuilder, first: int, name: object, kind: str = "SetNode", mode: int = 0) -> None:
    """A canvas `first`, set under a name by the node behind it."""
    drawing.node(first, "Canvas", [64, 64])
    drawing.node(first + 1, kind, [name], mode)
    drawing.link(first, 0, first + 1, "IMAGE", "IMAGE")


def got(drawing: WorkflowBuilder, first: int, name: object, kind: str = "GetNode", mode: int = 0) -> None:
    """A node that gets a name, and one behind it that takes the picture."""
    drawing.node(first, kind, [name], mode)
    drawing.node(first + 1, "Any")
    drawing.link(first, 0, first + 1, "value")


def source(conversion: Conversion, node_id: str) -> object:
    return conversion.prompt[node_id]["inputs"].get("value")


def subgraph(*kinds: str) -> tuple[WorkflowBuilder, WorkflowBuilder]:
    """A workflow with one instance (20) of a subgraph, whose inside is returned too."""
    inside, drawing = WorkflowBuilder("s"), WorkflowBuilder()
    drawing.definitions.append(inside)
    drawing.node(20, "s")
    return drawing, inside


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_what_is_set_is_got(setter: str, getter: str) -> None:
    """Whatever the order of the nodes, and though the node that sets is muted or bypassed."""
    for mode in (0, MUTED, BYPASSED):
        drawing = WorkflowBuilder()
        got(drawing, 3, "a", getter)
        set_under(drawing, 1, "a", setter, mode)
        assert source(convert(drawing.saved(), CATALOG), "4") == ["1", 0]


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_a_muted_getter_gets_nothing(setter: str, getter: str) -> None:
    """As any node that is muted or bypassed, without an input."""
    for mode in (MUTED, BYPASSED):
        drawing = WorkflowBuilder()
        set_under(drawing, 1, "a", setter)
        got(drawing, 3, "a", getter, mode)
        assert source(convert(drawing.saved(), CATALOG), "4") is None


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_a_setter_without_a_link_sets_nothing(setter: str, getter: str) -> None:
    """The name is known, so nothing is refused."""
    drawing = WorkflowBuilder()
    drawing.node(1, setter, ["a"], inputs=[{"name": "IMAGE", "type": "IMAGE", "link": None}])
    got(drawing, 3, "a", getter)
    assert source(convert(drawing.saved(), CATALOG), "4") is None


def test_names_of_any_form() -> None:
    """Numbers too, and values that were saved as an object; an empty name is none."""
    drawing = WorkflowBuilder()
    set_under(drawing, 1, 5)
    got(drawing, 3, 5)
    assert source(convert(drawing.saved(), CATALOG), "4") == ["1", 0]
    drawing._at(2)["widgets_values"] = drawing._at(3)["widgets_values"] = {"0": "a"}
    assert source(convert(drawing.saved(), CATALOG), "4") == ["1", 0]
    for empty in ([""], [], None):
        drawing._at(2)["widgets_values"] = drawing._at(3)["widgets_values"] = empty
        assert source(convert(drawing.saved(), CATALOG), "4") is None


def test_a_name_that_nobody_set() -> None:
    """KJNodes leaves the link out, which is a warning; Easy-Use fails, so the workflow is refused by node."""
    drawing = WorkflowBuilder()
    set_under(drawing, 1, "a")
    got(drawing, 3, "b")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "4") is None
    assert [(one.node_id, "'b'" in one.message) for one in conversion.warnings] == [("3", True)]
    drawing._at(3)["type"] = "easy getNode"
    with pytest.raises(CannotConvert, match=r"node 3 .*no easy setNode in its graph has the name 'b'"):
        convert(drawing.saved(), CATALOG)
    del drawing.links[-1]
    drawing._at(4)["inputs"] = []
    assert list(convert(drawing.saved(), CATALOG).prompt) == ["1", "4"]


def test_two_of_one_name() -> None:
    """The first counts for KJNodes, with a warning; Easy-Use cannot tell."""
    drawing = WorkflowBuilder()
    set_under(drawing, 1, "a")
    set_under(drawing, 5, "a")
    got(drawing, 3, "a")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "4") == ["1", 0]
    assert [one.node_id for one in conversion.warnings] == ["3"]
    for number, kind in ((2, "easy setNode"), (6, "easy setNode"), (3, "easy getNode")):
        drawing._at(number)["type"] = kind
    with pytest.raises(CannotConvert, match="2 easy setNode"):
        convert(drawing.saved(), CATALOG)


def test_a_getter_looks_in_the_graphs_around_it() -> None:
    """From a subgraph in a subgraph up to the workflow; the nearest name counts."""
    middle, inner = WorkflowBuilder("m"), WorkflowBuilder("i")
    got(inner, 11, "a")
    middle.node(21, "i")
    drawing = WorkflowBuilder()
    drawing.definitions += [middle, inner]
    drawing.node(30, "m")
    set_under(drawing, 1, "a")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "30:21:12") == ["1", 0]
    assert conversion.warnings == ()
    set_under(inner, 13, "a")
    assert source(convert(drawing.saved(), CATALOG), "30:21:12") == ["30:21:13", 0]


def test_both_instances_of_a_subgraph_get_what_is_set_around_them() -> None:
    """Each has its own node, and both the same source."""
    drawing, inside = subgraph()
    drawing.node(21, "s")
    got(inside, 11, "a")
    set_under(drawing, 1, "a")
    conversion = convert(drawing.saved(), CATALOG)
    assert [source(conversion, f"{host}:12") for host in (20, 21)] == [["1", 0], ["1", 0]]


def test_two_of_one_name_around_a_subgraph() -> None:
    """The editor links neither, which is a warning."""
    drawing, inside = subgraph()
    got(inside, 11, "a")
    set_under(drawing, 1, "a")
    set_under(drawing, 5, "a")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "20:12") is None
    assert [one.node_id for one in conversion.warnings] == ["20:11"]


def test_what_is_set_inside_is_not_got_outside() -> None:
    """Names go inwards only."""
    drawing, inside = subgraph()
    set_under(inside, 11, "a")
    got(drawing, 3, "a")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "4") is None
    assert [one.node_id for one in conversion.warnings] == ["3"]


def test_easy_use_looks_in_its_own_graph_only() -> None:
    """A name set in the graph around a subgraph is not visible inside the subgraph."""
    drawing, inside = subgraph()
    got(inside, 11, "a", "easy getNode")
    set_under(drawing, 1, "a", "easy setNode")
    with pytest.raises(CannotConvert, match="node 20:11 "):
        convert(drawing.saved(), CATALOG)


def test_a_chain_of_names_and_reroutes() -> None:
    """A setter's source may be a getter of another name."""
    drawing, inside = subgraph()
    got(inside, 11, "b")
    set_under(drawing, 1, "a")
    drawing.node(5, "GetNode", ["a"])
    drawing.node(6, "Reroute")
    drawing.node(7, "SetNode", ["b"])
    drawing.link(5, 0, 6, "")
    drawing.link(6, 0, 7, "IMAGE")
    assert source(convert(drawing.saved(), CATALOG), "20:12") == ["1", 0]


def test_a_name_set_to_an_input_of_the_subgraph() -> None:
    """In its own graph it leads out; from further inside the editor loses it, which is a warning."""
    inner, middle = WorkflowBuilder("i"), WorkflowBuilder("m")
    got(inner, 11, "a")
    middle.node(21, "i")
    middle.node(23, "SetNode", ["a"])
    got(middle, 25, "a")
    middle.port("picture", "IMAGE", (23, "IMAGE"))
    drawing = WorkflowBuilder()
    drawing.definitions += [middle, inner]
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(30, "m")
    drawing.link(1, 0, 30, "picture", "IMAGE")
    conversion = convert(drawing.saved(), CATALOG)
    assert source(conversion, "30:26") == ["1", 0]
    assert source(conversion, "30:21:12") is None
    assert [one.node_id for one in conversion.warnings] == ["30:21:11"]


def test_the_output_of_a_setter_hands_on() -> None:
    """What is linked to it needs no getter."""
    drawing = WorkflowBuilder()
    set_under(drawing, 1, "a")
    drawing.node(3, "Any")
    drawing.link(2, 0, 3, "value")
    assert source(convert(drawing.saved(), CATALOG), "3") == ["1", 0]


def test_a_long_chain_of_names_takes_no_time() -> None:
    """Nodes that set a name are found by it."""
    drawing = WorkflowBuilder()
    set_under(drawing, 1, "0")
    for number in range(1, 300):
        drawing.node(10 * number, "GetNode", [str(number - 1)])
        drawing.node(10 * number + 1, "SetNode", [str(number)])
        drawing.link(10 * number, 0, 10 * number + 1, "IMAGE", "IMAGE")
    for number in range(300):
        got(drawing, 10_000 + 2 * number, "299")
    assert source(convert(drawing.saved(), CATALOG), "10599") == ["1", 0]
