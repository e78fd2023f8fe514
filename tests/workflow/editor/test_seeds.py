"""Tests of the seed fields of a conversion."""

from __future__ import annotations

import pytest

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder
from worker.prompt_changes import SeedField
from worker.workflow.editor import convert

LARGEST = 2**64 - 1


def seeds(builder: WorkflowBuilder) -> tuple[SeedField, ...]:
    """Return the seed fields of a workflow."""
    return convert(builder.saved(), CATALOG).seeds


def drawn(mode: str, kind: str = "Sample") -> WorkflowBuilder:
    """Return a workflow with one seed field that has this control."""
    builder = WorkflowBuilder()
    builder.node(1, kind, [7, mode, 20, "fit"])
    return builder


@pytest.mark.parametrize("kind", ["Sample", "Number"])
def test_randomized_fields_are_seeds(kind: str) -> None:
    """convert lists a field as a seed when its control is `randomize`, and keeps its saved value in the prompt."""
    [field] = seeds(drawn("randomize", kind))
    assert (field.node_id, field.max) == ("1", LARGEST)
    assert drawn("randomize", kind).inputs_of(1)[field.input] == 7
    for mode in ("fixed", "increment", "decrement"):
        assert seeds(drawn(mode, kind)) == ()


def test_a_muted_node_has_no_seed() -> None:
    """convert lists no seeds of a muted node."""
    builder = drawn("randomize")
    builder.nodes[0]["mode"] = 2
    assert seeds(builder) == ()


def test_a_linked_seed_field() -> None:
    """convert lists the seed of the node that a field is linked to, by the control of that node."""
    builder = drawn("randomize")
    builder.node(2, "Number", [3, "fixed"])
    builder.link(2, 0, 1, "seed", "INT", widget=True)
    assert seeds(builder) == ()
    builder.nodes[1]["widgets_values"] = [3, "randomize"]
    assert [(field.node_id, field.input) for field in seeds(builder)] == [("2", "value")]


@pytest.mark.parametrize(("mode", "count"), [("randomize", 2), ("fixed", 0), ("increment", 0)])
def test_fields_of_a_primitive_share_a_seed(mode: str, count: int) -> None:
    """convert uses the control of a primitive and gives all fields that it feeds one source."""
    builder = WorkflowBuilder()
    builder.node(5, "PrimitiveNode", [7, mode])
    for number, own in ((1, "fixed"), (2, "randomize")):
        builder.node(number, "Sample", [1, own, 20, "fit"])
        builder.link(5, 0, number, "seed", "INT", widget=True)
    actual = seeds(builder)
    assert len(actual) == count
    assert len({field.source for field in actual}) == min(count, 1)


def test_seeds_in_subgraphs() -> None:
    """convert lists separate seeds for each instance, and one source for the fields that an instance feeds."""
    inside = WorkflowBuilder("sub")
    for number in (1, 2, 3):
        inside.node(number, "Sample", [1, "randomize", 20, "fit"])
    inside.add_input("seed", "INT", (1, "seed"), (2, "seed"), widget=True)
    builder = WorkflowBuilder()
    builder.definitions.append(inside)
    for number in (7, 8):
        builder.node(number, "sub", [5])
        builder.nodes[-1]["inputs"] = [{"name": "seed", "type": "INT", "widget": {"name": "seed"}, "link": None}]
    actual = {f"{field.node_id}": field.source for field in seeds(builder)}
    assert set(actual) == {"7:1", "7:2", "7:3", "8:1", "8:2", "8:3"}
    assert actual["7:1"] == actual["7:2"] != actual["7:3"]
    assert actual["8:1"] == actual["8:2"] != actual["7:1"]
