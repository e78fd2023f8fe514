"""Group nodes of older editors."""

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


def grouped(group: dict[str, Any] = GROUP, kind: str = "workflow>Pair", mode: int = 0) -> dict[str, Any]:
    """A picture into a group node and from there into a file."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, kind, [640, 480, "fill", 7, "fixed", 30, "fill"], mode)
    drawing.node(3, "SaveImage", ["x"])
    drawing.link(1, 0, 2, "b", "IMAGE")
    drawing.link(2, 0, 3, "images", "IMAGE")
    saved = {**drawing.saved(), "extra": {"groupNodes": {"Pair": group}}, "last_node_id": 3}
    return {node_id: node["inputs"] for node_id, node in convert(saved, CATALOG).prompt.items()}


def test_a_group_is_opened() -> None:
    """Inner nodes get ids of their own, the group's values one after another, and its links."""
    assert grouped() == {
        "1": {"image": "a.png"},
        "3": {"filename_prefix": "x", "images": ["7:5", 0]},
        "7:4": {"width": 640, "height": 480},
        "7:5": {"how": "fill", "a": ["7:4", 0], "b": ["1", 0]},
        "7:6": {"seed": 7, "steps": 30, "how": "fill"},
    }


def test_the_older_way_to_write_the_type() -> None:
    """`workflow/Name` is the same."""
    assert grouped(kind="workflow/Pair") == grouped()


def test_a_muted_group() -> None:
    """Nothing inside it runs."""
    assert set(grouped(mode=2)) == {"1", "3"}


def test_renamed_and_hidden_inputs() -> None:
    """What the group's own settings say of its inputs counts."""
    renamed = {**GROUP, "config": {"1": {"input": {"b": {"name": "other"}}}}}
    assert grouped(renamed)["7:5"]["b"] == ["1", 0]
    hidden = {**GROUP, "config": {"1": {"input": {"b": {"visible": False}}}}}
    assert "b" not in grouped(hidden)["7:5"]


def test_a_group_in_itself_is_refused() -> None:
    """It never ends."""
    drawing = WorkflowBuilder()
    drawing.node(1, "workflow>Loop")
    saved = {**drawing.saved(), "extra": {"groupNodes": {"Loop": {"nodes": [{"type": "workflow>Loop"}], "links": []}}}}
    drawing.saved = lambda: saved  # type: ignore[method-assign]
    assert "group nodes" in drawing.refusal().message
