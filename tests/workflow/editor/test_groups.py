"""Tests of group nodes from older editors."""

from __future__ import annotations

from typing import Any

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder
from worker.workflow.editor import convert

GROUP = {
    "nodes": [
        {"type": "Canvas", "widgets_values": [1, 2], "inputs": [], "outputs": [{"type": "IMAGE"}]},
        {
            "type": "Mix",
            "widgets_values": ["fit"],
            "inputs": [{"name": "a", "type": "IMAGE"}, {"name": "b", "type": "IMAGE"}],
            "outputs": [{"type": "IMAGE"}],
        },
        {"type": "Sample", "widgets_values": [0, "fixed", 1, "fit"], "outputs": [{"type": "LATENT"}]},
    ],
    "links": [[0, 0, 1, 0, 7, "IMAGE"]],
    "external": [],
}


def convert_group(group: dict[str, Any] = GROUP, kind: str = "workflow>Pair", mode: int = 0) -> dict[str, Any]:
    """Return the inputs by node id of a workflow in which a group node is between two nodes."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, kind, [640, 480, "fill", 7, "fixed", 30, "fill"], mode)
    builder.node(3, "SaveImage", ["x"])
    builder.link(1, 0, 2, "b", "IMAGE")
    builder.link(2, 0, 3, "images", "IMAGE")
    saved = {**builder.saved(), "extra": {"groupNodes": {"Pair": group}}, "last_node_id": 3}
    return {node_id: node["inputs"] for node_id, node in convert(saved, CATALOG).prompt.items()}


def test_group_nodes_are_expanded() -> None:
    """convert gives inner nodes new ids, the values of the group node in order, and its links."""
    assert convert_group() == {
        "1": {"image": "a.png"},
        "3": {"filename_prefix": "x", "images": ["7:5", 0]},
        "7:4": {"width": 640, "height": 480},
        "7:5": {"how": "fill", "a": ["7:4", 0], "b": ["1", 0]},
        "7:6": {"seed": 7, "steps": 30, "how": "fill"},
    }


def test_both_prefixes_are_accepted() -> None:
    """convert treats the class `workflow/Name` like `workflow>Name`."""
    assert convert_group(kind="workflow/Pair") == convert_group()


def test_a_muted_group_does_not_run() -> None:
    """convert leaves out the inner nodes of a muted group node."""
    assert set(convert_group(mode=2)) == {"1", "3"}


def test_renamed_and_hidden_inputs() -> None:
    """convert applies the names and the visibility of inputs from the definition of a group."""
    renamed = {**GROUP, "config": {"1": {"input": {"b": {"name": "other"}}}}}
    assert convert_group(renamed)["7:5"]["b"] == ["1", 0]
    hidden = {**GROUP, "config": {"1": {"input": {"b": {"visible": False}}}}}
    assert "b" not in convert_group(hidden)["7:5"]


def test_a_group_that_contains_itself_is_rejected() -> None:
    """convert raises CannotConvert when a group node contains itself."""
    builder = WorkflowBuilder()
    builder.node(1, "workflow>Loop")
    saved = {**builder.saved(), "extra": {"groupNodes": {"Loop": {"nodes": [{"type": "workflow>Loop"}], "links": []}}}}
    builder.saved = lambda: saved  # type: ignore[method-assign]
    assert "group nodes" in builder.conversion_error().message
