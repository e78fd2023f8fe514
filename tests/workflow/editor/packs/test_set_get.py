"""Tests of nodes that set and read values by name (KJNodes and Easy-Use)."""

from __future__ import annotations

import pytest

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder
from worker.errors import CannotConvert
from worker.workflow.editor import Conversion, convert

MUTED, BYPASSED = 2, 4
PAIRS = [("SetNode", "GetNode"), ("easy setNode", "easy getNode")]


def add_setter(builder: WorkflowBuilder, first: int, name: object, kind: str = "SetNode", mode: int = 0) -> None:
    """Add a canvas, and a node behind it that sets the image under a name."""
    builder.node(first, "Canvas", [64, 64])
    builder.node(first + 1, kind, [name], mode)
    builder.link(first, 0, first + 1, "IMAGE", "IMAGE")


def add_getter(builder: WorkflowBuilder, first: int, name: object, kind: str = "GetNode", mode: int = 0) -> None:
    """Add a node that reads a name, and a node behind it that takes the value."""
    builder.node(first, kind, [name], mode)
    builder.node(first + 1, "Any")
    builder.link(first, 0, first + 1, "value")


def value_source(conversion: Conversion, node_id: str) -> object:
    """Return the link of a node's `value`."""
    return conversion.prompt[node_id]["inputs"].get("value")


def with_subgraph(*kinds: str) -> tuple[WorkflowBuilder, WorkflowBuilder]:
    """Return a workflow with one instance (20) of a subgraph, and the subgraph."""
    inside, builder = WorkflowBuilder("s"), WorkflowBuilder()
    builder.definitions.append(inside)
    builder.node(20, "s")
    return builder, inside


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_a_getter_reads_the_set_value(setter: str, getter: str) -> None:
    """convert links a getter to the set value in any order of the nodes, also if the setter is disabled."""
    for mode in (0, MUTED, BYPASSED):
        builder = WorkflowBuilder()
        add_getter(builder, 3, "a", getter)
        add_setter(builder, 1, "a", setter, mode)
        assert value_source(convert(builder.saved(), CATALOG), "4") == ["1", 0]


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_a_disabled_getter_reads_nothing(setter: str, getter: str) -> None:
    """convert links nothing through a muted or bypassed getter."""
    for mode in (MUTED, BYPASSED):
        builder = WorkflowBuilder()
        add_setter(builder, 1, "a", setter)
        add_getter(builder, 3, "a", getter, mode)
        assert value_source(convert(builder.saved(), CATALOG), "4") is None


@pytest.mark.parametrize(("setter", "getter"), PAIRS)
def test_a_setter_without_a_link_sets_nothing(setter: str, getter: str) -> None:
    """convert links nothing to a getter whose setter has no input, and does not reject it."""
    builder = WorkflowBuilder()
    builder.node(1, setter, ["a"], inputs=[{"name": "IMAGE", "type": "IMAGE", "link": None}])
    add_getter(builder, 3, "a", getter)
    assert value_source(convert(builder.saved(), CATALOG), "4") is None


def test_names_of_any_form() -> None:
    """convert accepts numbers and values in an object as names, and treats an empty name as none."""
    builder = WorkflowBuilder()
    add_setter(builder, 1, 5)
    add_getter(builder, 3, 5)
    assert value_source(convert(builder.saved(), CATALOG), "4") == ["1", 0]
    builder._at(2)["widgets_values"] = builder._at(3)["widgets_values"] = {"0": "a"}
    assert value_source(convert(builder.saved(), CATALOG), "4") == ["1", 0]
    for empty in ([""], [], None):
        builder._at(2)["widgets_values"] = builder._at(3)["widgets_values"] = empty
        assert value_source(convert(builder.saved(), CATALOG), "4") is None


def test_an_unknown_name() -> None:
    """convert warns about an unknown name in KJNodes and rejects it in Easy-Use."""
    builder = WorkflowBuilder()
    add_setter(builder, 1, "a")
    add_getter(builder, 3, "b")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "4") is None
    assert [(warning.node_id, "'b'" in warning.message) for warning in conversion.warnings] == [("3", True)]
    builder._at(3)["type"] = "easy getNode"
    with pytest.raises(CannotConvert, match=r"node 3 .*no easy setNode in its graph has the name 'b'"):
        convert(builder.saved(), CATALOG)
    del builder.links[-1]
    builder._at(4)["inputs"] = []
    assert list(convert(builder.saved(), CATALOG).prompt) == ["1", "4"]


def test_a_name_that_is_set_twice() -> None:
    """convert uses the first setter in KJNodes with a warning, and rejects two in Easy-Use."""
    builder = WorkflowBuilder()
    add_setter(builder, 1, "a")
    add_setter(builder, 5, "a")
    add_getter(builder, 3, "a")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "4") == ["1", 0]
    assert [warning.node_id for warning in conversion.warnings] == ["3"]
    for number, kind in ((2, "easy setNode"), (6, "easy setNode"), (3, "easy getNode")):
        builder._at(number)["type"] = kind
    with pytest.raises(CannotConvert, match="2 easy setNode"):
        convert(builder.saved(), CATALOG)


def test_a_getter_searches_enclosing_graphs() -> None:
    """convert finds a setter in the enclosing graphs, and the nearest one wins."""
    middle, inner = WorkflowBuilder("m"), WorkflowBuilder("i")
    add_getter(inner, 11, "a")
    middle.node(21, "i")
    builder = WorkflowBuilder()
    builder.definitions += [middle, inner]
    builder.node(30, "m")
    add_setter(builder, 1, "a")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "30:21:12") == ["1", 0]
    assert conversion.warnings == ()
    add_setter(inner, 13, "a")
    assert value_source(convert(builder.saved(), CATALOG), "30:21:12") == ["30:21:13", 0]


def test_all_instances_read_an_outer_name() -> None:
    """convert links the getters of all instances to a setter outside."""
    builder, inside = with_subgraph()
    builder.node(21, "s")
    add_getter(inside, 11, "a")
    add_setter(builder, 1, "a")
    conversion = convert(builder.saved(), CATALOG)
    assert [value_source(conversion, f"{host}:12") for host in (20, 21)] == [["1", 0], ["1", 0]]


def test_an_ambiguous_outer_name() -> None:
    """convert links nothing and warns when two setters outside have the name."""
    builder, inside = with_subgraph()
    add_getter(inside, 11, "a")
    add_setter(builder, 1, "a")
    add_setter(builder, 5, "a")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "20:12") is None
    assert [warning.node_id for warning in conversion.warnings] == ["20:11"]


def test_inner_names_are_not_visible_outside() -> None:
    """convert does not find a setter inside a subgraph from outside."""
    builder, inside = with_subgraph()
    add_setter(inside, 11, "a")
    add_getter(builder, 3, "a")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "4") is None
    assert [warning.node_id for warning in conversion.warnings] == ["3"]


def test_easy_use_searches_only_its_own_graph() -> None:
    """convert does not search enclosing graphs for a name of Easy-Use."""
    builder, inside = with_subgraph()
    add_getter(inside, 11, "a", "easy getNode")
    add_setter(builder, 1, "a", "easy setNode")
    with pytest.raises(CannotConvert, match="node 20:11 "):
        convert(builder.saved(), CATALOG)


def test_a_chain_of_names_and_reroutes() -> None:
    """convert follows a setter whose source is another getter behind a reroute."""
    builder, inside = with_subgraph()
    add_getter(inside, 11, "b")
    add_setter(builder, 1, "a")
    builder.node(5, "GetNode", ["a"])
    builder.node(6, "Reroute")
    builder.node(7, "SetNode", ["b"])
    builder.link(5, 0, 6, "")
    builder.link(6, 0, 7, "IMAGE")
    assert value_source(convert(builder.saved(), CATALOG), "20:12") == ["1", 0]


def test_a_name_set_to_an_input_of_the_subgraph() -> None:
    """convert links a name that is set to a subgraph input in that graph, and warns in graphs inside it."""
    inner, middle = WorkflowBuilder("i"), WorkflowBuilder("m")
    add_getter(inner, 11, "a")
    middle.node(21, "i")
    middle.node(23, "SetNode", ["a"])
    add_getter(middle, 25, "a")
    middle.add_input("picture", "IMAGE", (23, "IMAGE"))
    builder = WorkflowBuilder()
    builder.definitions += [middle, inner]
    builder.node(1, "Canvas", [64, 64])
    builder.node(30, "m")
    builder.link(1, 0, 30, "picture", "IMAGE")
    conversion = convert(builder.saved(), CATALOG)
    assert value_source(conversion, "30:26") == ["1", 0]
    assert value_source(conversion, "30:21:12") is None
    assert [warning.node_id for warning in conversion.warnings] == ["30:21:11"]


def test_the_output_of_a_setter() -> None:
    """convert passes on the input of a setter through its output."""
    builder = WorkflowBuilder()
    add_setter(builder, 1, "a")
    builder.node(3, "Any")
    builder.link(2, 0, 3, "value")
    assert value_source(convert(builder.saved(), CATALOG), "3") == ["1", 0]


def test_a_long_chain_of_names_is_fast() -> None:
    """convert resolves a chain of 300 names for 300 getters within the time limit."""
    builder = WorkflowBuilder()
    add_setter(builder, 1, "0")
    for number in range(1, 300):
        builder.node(10 * number, "GetNode", [str(number - 1)])
        builder.node(10 * number + 1, "SetNode", [str(number)])
        builder.link(10 * number, 0, 10 * number + 1, "IMAGE", "IMAGE")
    for number in range(300):
        add_getter(builder, 10_000 + 2 * number, "299")
    assert value_source(convert(builder.saved(), CATALOG), "10599") == ["1", 0]
