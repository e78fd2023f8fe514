"""Tests of workflows that cannot be converted, and of corrupted files."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.editor.spoiled_workflows import spoiled_copy
from tests.workflow.editor.test_subgraphs import with_instances
from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder, convert_or_error
from worker.errors import CannotConvert
from worker.workflow.editor import convert, is_ui


def test_all_unknown_classes_are_reported() -> None:
    """convert reports every unknown class of a node that would run, with its title and the nearest name."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvass", title="Paper")
    builder.node(2, "Zzzzzz")
    builder.node(3, "Yyyyyy", mode=2)
    first, second = builder.conversion_error().details
    assert (first.node_id, first.node_title, first.class_type) == ("1", "Paper", "Canvass")
    assert first.suggestion == "Did you mean 'Canvas'?"
    assert second.node_id == "2"


def test_browser_values_are_rejected() -> None:
    """convert rejects a field whose value exists only in the browser."""
    builder = WorkflowBuilder()
    builder.node(1, "Scene")
    (detail,) = builder.conversion_error().details
    assert (detail.node_id, detail.input) == ("1", "image")


def test_broken_links_are_warnings() -> None:
    """convert ignores a link without a source, and the warning names node, input and what is missing."""
    builder = WorkflowBuilder()
    builder.node(3, "SaveImage", ["x"], inputs=[{"name": "images", "type": "IMAGE", "link": 7}])
    for links, missing in (([], "link 7"), ([[7, 99, 0, 3, 0, "IMAGE"]], "node 99")):
        builder.links = links
        conversion = convert(builder.saved(), CATALOG)
        assert conversion.prompt["3"]["inputs"] == {"filename_prefix": "x"}
        (warning,) = conversion.warnings
        assert (warning.node_id, warning.input) == ("3", "images")
        assert missing in warning.message


def test_a_field_with_a_broken_link() -> None:
    """convert keeps the value of a field with a broken link, and does not warn about muted nodes."""
    builder = WorkflowBuilder()
    stale = [{"name": "width", "type": "INT", "link": 7, "widget": {"name": "width"}}]
    builder.node(3, "Canvas", [64, 48], inputs=stale)
    builder.node(4, "Canvas", [64, 48], inputs=stale, mode=2)
    conversion = convert(builder.saved(), CATALOG)
    assert conversion.prompt["3"]["inputs"] == {"width": 64, "height": 48}
    assert [warning.node_id for warning in conversion.warnings] == ["3"]


def test_broken_links_in_subgraphs() -> None:
    """convert warns about an output of a subgraph whose source is missing."""
    builder = with_instances((2, [3.5]))
    builder.definitions[0].links[-1]["origin_id"] = 77
    conversion = convert(builder.saved(), CATALOG)
    assert any("node 77" in warning.message for warning in conversion.warnings)


def test_link_cycles_are_rejected() -> None:
    """convert rejects reroutes that are linked in a cycle."""
    builder = WorkflowBuilder()
    builder.node(1, "Reroute")
    builder.node(2, "Reroute")
    builder.node(3, "SaveImage", ["x"])
    for origin, target, name in ((1, 2, ""), (2, 1, ""), (1, 3, "images")):
        builder.link(origin, 0, target, name)
    assert "cycle" in builder.conversion_error().message


def test_recursive_subgraphs_are_rejected() -> None:
    """convert rejects a subgraph that contains itself, and subgraphs that expand to too many nodes."""
    kind = "33333333-3333-4333-8333-333333333333"
    inside = WorkflowBuilder(kind)
    inside.node(5, kind)
    assert "contains itself" in with_instances((2, []), inside=inside, kind=kind).conversion_error().message
    doubling = WorkflowBuilder()
    doubling.node(1, "level 0")
    for level in range(40):
        inside = WorkflowBuilder(f"level {level}")
        inside.node(1, f"level {level + 1}")
        inside.node(2, f"level {level + 1}")
        doubling.definitions.append(inside)
    doubling.definitions.append(WorkflowBuilder("level 40"))
    assert "expand to more than" in doubling.conversion_error().message


def test_a_long_chain_of_reroutes() -> None:
    """convert follows a chain of a thousand reroutes."""
    builder = WorkflowBuilder()
    builder.node(0, "Canvas", [64, 64])
    for number in range(1, 1001):
        builder.node(number, "Reroute")
        builder.link(number - 1, 0, number, "")
    builder.node(2000, "SaveImage", ["x"])
    builder.link(1000, 0, 2000, "images")
    assert builder.inputs_of(2000)["images"] == ["0", 0]


def test_deeply_nested_values_are_rejected() -> None:
    """convert rejects a value that is nested too deep."""
    value: Any = "x"
    for _ in range(500):
        value = [value]
    builder = WorkflowBuilder()
    builder.node(1, "Quote", [value])
    assert "nested" in builder.conversion_error().message


@pytest.mark.parametrize(
    "workflow", [None, [], {}, "x", 7, {"nodes": {}}, {"nodes": None, "links": []}, {"1": {"class_type": "X"}}]
)
def test_other_json_is_not_a_workflow(workflow: Any) -> None:
    """is_ui returns false and convert raises CannotConvert for other JSON."""
    assert not is_ui(workflow)
    with pytest.raises(CannotConvert):
        convert(workflow, CATALOG)


def mixed_workflow() -> bytes:
    """Return a file with subgraphs, dynamic inputs, a primitive, a reroute and proxies."""
    builder = with_instances((2, [3.5]), (3, [4.5]))
    builder.node(20, "Choose", ["large", "x", 0.5, 3, "fixed"])
    builder.node(21, "Grow")
    builder.node(22, "PrimitiveNode", [5, "fixed"])
    builder.node(23, "Sample", [7, "randomize", 30, "fill"])
    builder.node(24, "Reroute")
    builder.link(1, 0, 20, "model.image", "IMAGE")
    builder.link(20, 0, 24, "")
    builder.link(24, 0, 21, "images.image1", "IMAGE")
    builder.link(22, 0, 23, "steps", "INT", widget=True)
    builder.nodes[1]["properties"] = {"proxyWidgets": [["5", "radius"], ["-1", "amount"]]}
    return orjson.dumps(builder.saved())


@pytest.mark.parametrize("seed", range(4))
def test_corrupted_files(seed: int) -> None:
    """convert returns a prompt or raises CannotConvert for corrupted copies of a file."""
    rng, saved, converted = Random(seed), mixed_workflow(), 0
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
def test_arbitrary_json(nodes: list[Any], links: Any, rest: Any) -> None:
    """convert returns a prompt or raises CannotConvert for any JSON in place of nodes, links and subgraphs."""
    workflow = {"nodes": nodes, "links": links, "definitions": {"subgraphs": [{"id": "S", "nodes": rest}]}}
    assert any(convert_or_error({**workflow, "extra": rest}))
