"""Workflows with the nodes of cg-use-everywhere."""

from __future__ import annotations

from typing import Any

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert

SENDERS = {
    "Anything Everywhere": node_class({}, anything=["*", {}]),
    "Anything Everywhere?": node_class({}, anything=["*", {}], title_regex=["STRING", {}], input_regex=["STRING", {}]),
    "Anything Everywhere3": node_class({}, anything=["*", {}], anything2=["*", {}], anything3=["*", {}]),
    "Prompts Everywhere": node_class({}, positive=["*", {}], negative=["*", {}]),
    "Seed Everywhere": node_class({"seed": ["INT", {}]}, ["INT"]),
}
PLAY = node_class({"positive": ["MASK"], "negative": ["MASK"], "image": ["IMAGE"]})
CATALOG = Catalog.from_object_info({**CLASSES, **SENDERS, "Play": PLAY})
WITHOUT = Catalog.from_object_info({**CLASSES, "Play": PLAY})
INSIDE = "33333333-3333-4333-8333-333333333333"


def settings(**more: Any) -> dict[str, Any]:
    """Return properties as version 7 of the pack saves them."""
    return {"ue_properties": {"version": "7.8", "widget_ue_connectable": {}, "input_ue_unconnectable": {}, **more}}


def add_sender(
    builder: WorkflowBuilder, number: int, origin: int, slot: int = 0, kind: str = "IMAGE", **more: Any
) -> None:
    """Add a sender with one output linked into it."""
    builder.node(number, more.pop("type", "Anything Everywhere"), more.pop("values", []), **more)
    builder.link(origin, slot, number, "anything", kind)


def add_canvas(builder: WorkflowBuilder, number: int = 1, **more: Any) -> int:
    """Add a Canvas node and return its id."""
    return builder.node(number, "Canvas", [64, 64], **more)


def node_inputs(builder: WorkflowBuilder, number: int | str, catalog: Catalog = CATALOG, **more: Any) -> Any:
    """Return the inputs of one node of the prompt."""
    prompt = convert({**builder.saved(), **more}, catalog).prompt
    return prompt[str(number)]["inputs"]


def received_image(properties: dict[str, Any] | None = None, **more: Any) -> Any:
    """Return what a sender delivers to the `image` of the red node "my blur" in the group "G1"."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    builder.node(2, "Blur", [1.0], title="my blur", pos=[100, 100], size=[100, 100], color="red")
    add_sender(builder, 3, 1, properties=properties or {}, pos=[300, 100], size=[100, 100], **more)
    groups = [{"title": "G1", "bounding": [90, 60, 200, 200]}, {"title": "G2", "bounding": [290, 60, 200, 200]}]
    return node_inputs(builder, 2, groups=groups).get("image")
