"""What can't be converted is refused by node, and nothing makes the conversion fall over."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.editor.spoiled_workflows import spoiled_copy
from tests.workflow.editor.test_subgraphs import using
from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder, convert_or_error
from worker.errors import CannotConvert
from worker.workflow.editor import convert, is_ui


def test_every_unknown_class_is_named() -> None:
    """With its node, its title and the class that was probably meant; muted ones don't matter."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvass", title="Paper")
    drawing.node(2, "Zzzzzz")
    drawing.node(3, "Yyyyyy", mode=2)
    first, second = drawing.refusal().details
    assert (first.node_id, first.node_title, first.class_type) == ("1", "Paper", "Canvass")
    assert first.suggestion == "Did you mean 'Canvas'?"
    assert second.node_id == "2"


def test_what_needs_a_browser() -> None:
    """A value that is drawn when the workflow is queued can't be known."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Scene")
    (detail,) = drawing.refusal().details
    assert (detail.node_id, detail.input) == ("1", "image")


def test_links_to_nowhere() -> None:
    """They count as none, with a warning that names the node, the input, and what is missing."""
    drawing = WorkflowBuilder()
    drawing.node(3, "SaveImage", ["x"], inputs=[{"name": "images", "type": "IMAGE", "link": 7}])
    for links, missing in (([], "link 7"), ([[7, 99, 0, 3, 0, "IMAGE"]], "node 99")):
        drawing.links = links
        conversion = convert(drawing.saved(), CATALOG)
        assert conversion.prompt["3"]["inputs"] == {"filename_prefix": "x"}
        (warning,) = conversion.warnings
        assert (warning.node_id, warning.input) == ("3", "images")
        assert missing in warning.message


def test_a_field_with_a_link_to_nowhere() -> None:
    """It keeps its own value; what is muted is not warned about."""
    drawing = WorkflowBuilder()
    stale = [{"name": "width", "type": "INT", "link": 7, "widget": {"name": "width"}}]
    drawing.node(3, "Canvas", [64, 48], inputs=stale)
    drawing.node(4, "Canvas", [64, 48], inputs=stale, mode=2)
    conversion = convert(drawing.saved(), CATALOG)
    assert conversion.prompt["3"]["inputs"] == {"width": 64, "height": 48}
    assert [warning.node_id for warning in conversion.warnings] == ["3"]


def test_links_to_nowhere_in_subgraphs() -> None:
    """An output that nothing inside feeds, and a field that an instance shows, which keeps the instance's value."""
    drawing = using((2, [3.5]))
    drawing.definitions[0].links[-1]["origin_id"] = 77
    conversion = convert(drawing.saved(), CATALOG)
    assert any("node 77" in warning.message for warning in conversion.warnings)


def test_links_in_a_circle() -> None:
    """Reroutes that lead to each other end nowhere."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Reroute")
    drawing.node(2, "Reroute")
    drawing.node(3, "SaveImage", ["x"])
    for origin, target, name in ((1, 2, ""), (2, 1, ""), (1, 3, "images")):
        drawing.link(origin, 0, target, name)
    assert "cycle" in drawing.refusal().message


def test_a_subgraph_in_itself() -> None:
    """Is refused, and so are subgraphs that double each other without end."""
    kind = "33333333-3333-4333-8333-333333333333"
    inside = WorkflowBuilder(kind)
    inside.node(5, kind)
    assert "contains itself" in using((2, []), inside=inside, kind=kind).refusal().message
    doubling = WorkflowBuilder()
    doubling.node(1, "level 0")
    for level in range(40):
        inside = WorkflowBuilder(f"level {level}")
        inside.node(1, f"level {level + 1}")
        inside.node(2, f"level {level + 1}")
        doubling.definitions.append(inside)
    doubling.definitions.append(WorkflowBuilder("level 40"))
    assert "unfold" in doubling.refusal().message


def test_a_long_chain_is_followed() -> None:
    """A thousand reroutes in a row are many, but not too many."""
    drawing = WorkflowBuilder()
    drawing.node(0, "Canvas", [64, 64])
    for number in range(1, 1001):
        drawing.node(number, "Reroute")
        drawing.link(number - 1, 0, number, "")
    drawing.node(2000, "SaveImage", ["x"])
    drawing.link(1000, 0, 2000, "images")
    assert drawing.inputs_of(2000)["images"] == ["0", 0]


def test_values_in_values_without_end() -> None:
    """Deeper than anybody means is refused."""
    value: Any = "x"
    for _ in range(500):
        value = [value]
    drawing = WorkflowBuilder()
    drawing.node(1, "Quote", [value])
    assert "nested" in drawing.refusal().message


@pytest.mark.parametrize(
    "workflow", [None, [], {}, "x", 7, {"nodes": {}}, {"nodes": None, "links": []}, {"1": {"class_type": "X"}}]
)
def test_other_json_is_no_workflow(workflow: Any) -> None:
    """It is not taken for one, and refused where it is handed in as one."""
    assert not is_ui(workflow)
    with pytest.raises(CannotConvert):
        convert(workflow, CATALOG)


def to_integer() -> bytes:
    """Something of everything."""
    drawing = using((2, [3.5]), (3, [4.5]))
    drawing.node(20, "Choose", ["large", "x", 0.5, 3, "fixed"])
    drawing.node(21, "Grow")
    drawing.node(22, "PrimitiveNode", [5, "fixed"])
    drawing.node(23, "Sample", [7, "randomize", 30, "fill"])
    drawing.node(24, "Reroute")
    drawing.link(1, 0, 20, "model.image", "IMAGE")
    drawing.link(20, 0, 24, "")
    drawing.link(24, 0, 21, "images.image1", "IMAGE")
    drawing.link(22, 0, 23, "steps", "INT", widget=True)
    drawing.nodes[1]["properties"] = {"proxyWidgets": [["5", "radius"], ["-1", "amount"]]}
    return orjson.dumps(drawing.saved())


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_files(seed: int) -> None:
    """Each gives a prompt that can be sent, or a refusal that says why."""
    rng, saved, converted = Random(seed), to_integer(), 0
    for _ in range(400):
        prompt, refusal = convert_or_error(spoiled_copy(saved, rng))
        assert prompt or refusal
        converted += bool(prompt)
    assert 100 < converted < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
NODE = st.fixed_dictionaries(
    {"id": JSON, "type": st.sampled_from([*CATALOG, "Reroute", "PrimitiveNode", "Note", "S"]) | JSON},
    optional=dict.fromkeys(("inputs", "outputs", "widgets_values", "mode", "properties", "title"), JSON),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(NODE | JSON, max_size=5), st.lists(st.lists(JSON, max_size=6) | JSON, max_size=5) | JSON, JSON)
def test_any_json_in(nodes: list[Any], links: Any, rest: Any) -> None:
    """Whatever stands where nodes, links and subgraphs do: an answer or a refusal."""
    workflow = {"nodes": nodes, "links": links, "definitions": {"subgraphs": [{"id": "S", "nodes": rest}]}}
    assert any(convert_or_error({**workflow, "extra": rest}))
