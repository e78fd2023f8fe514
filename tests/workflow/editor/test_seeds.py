"""Which inputs of a converted workflow get a fresh seed when a job runs."""

from __future__ import annotations

import pytest

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder
from worker.prompt_changes import SeedField
from worker.workflow.editor import convert

LARGEST = 2**64 - 1


def seeds(drawing: WorkflowBuilder) -> tuple[SeedField, ...]:
    return convert(drawing.saved(), CATALOG).seeds


def drawn(mode: str, kind: str = "Sample") -> WorkflowBuilder:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, [7, mode, 20, "fit"])
    return drawing


@pytest.mark.parametrize("kind", ["Sample", "Number"])
def test_a_field_that_is_randomized(kind: str) -> None:
    """The saved value stays in the prompt; `increment` and `decrement` change it only once it was sent."""
    [field] = seeds(drawn("randomize", kind))
    assert (field.node_id, field.max) == ("1", LARGEST)
    assert drawn("randomize", kind).inputs_of(1)[field.input] == 7
    for mode in ("fixed", "increment", "decrement"):
        assert seeds(drawn(mode, kind)) == ()


def test_a_field_of_a_node_that_does_not_run() -> None:
    """A muted node has no seed."""
    drawing = drawn("randomize")
    drawing.nodes[0]["mode"] = 2
    assert seeds(drawing) == ()


def test_a_linked_field() -> None:
    """The seed of the node that it is linked to counts, and the mode of that one."""
    drawing = drawn("randomize")
    drawing.node(2, "Number", [3, "fixed"])
    drawing.link(2, 0, 1, "seed", "INT", widget=True)
    assert seeds(drawing) == ()
    drawing.nodes[1]["widgets_values"] = [3, "randomize"]
    assert [(field.node_id, field.input) for field in seeds(drawing)] == [("2", "value")]


@pytest.mark.parametrize(("mode", "count"), [("randomize", 2), ("fixed", 0), ("increment", 0)])
def test_a_primitive_feeds_one_seed(mode: str, count: int) -> None:
    """Its own mode counts, not those of the fields, and all of them get the same seed."""
    drawing = WorkflowBuilder()
    drawing.node(5, "PrimitiveNode", [7, mode])
    for number, own in ((1, "fixed"), (2, "randomize")):
        drawing.node(number, "Sample", [1, own, 20, "fit"])
        drawing.link(5, 0, number, "seed", "INT", widget=True)
    found = seeds(drawing)
    assert len(found) == count
    assert len({field.source for field in found}) == min(count, 1)


def test_seeds_in_a_subgraph() -> None:
    """Each instance has its own, and the field that an instance shows feeds all that it is linked to."""
    inside = WorkflowBuilder("sub")
    for number in (1, 2, 3):
        inside.node(number, "Sample", [1, "randomize", 20, "fit"])
    inside.port("seed", "INT", (1, "seed"), (2, "seed"), widget=True)
    drawing = WorkflowBuilder()
    drawing.definitions.append(inside)
    for number in (7, 8):
        drawing.node(number, "sub", [5])
        drawing.nodes[-1]["inputs"] = [{"name": "seed", "type": "INT", "widget": {"name": "seed"}, "link": None}]
    found = {f"{field.node_id}": field.source for field in seeds(drawing)}
    assert set(found) == {"7:1", "7:2", "7:3", "8:1", "8:2", "8:3"}
    assert found["7:1"] == found["7:2"] != found["7:3"]
    assert found["8:1"] == found["8:2"] != found["7:1"]
