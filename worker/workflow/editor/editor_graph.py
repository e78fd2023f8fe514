"""The graph as the editor holds it in memory once a file is loaded: nodes with their slots, widgets and links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from worker.workflow.catalog.node_class import InputSpec, NodeClass
from worker.workflow.json_value import Json, JsonObject

MUTED, BYPASSED = 2, 4
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"


@dataclass(frozen=True, slots=True)
class BrowserNode:
    """A node that no prompt has. Each of its outputs hands on the input of the same number, if it has that one.

    `gets_from` is the class of the nodes that set names, for one that hands on what was set under its name instead.
    `enclosing` says whether it also looks in the graphs around its own, and `strict` that there has to be one such
    name. `refused` is why a workflow cannot be converted in which its output is used.
    """

    gets_from: str = ""
    enclosing: bool = False
    strict: bool = False
    refused: str = ""


OWN_NODES: Final = dict.fromkeys((REROUTE, PRIMITIVE, "Note", "MarkdownNote"), BrowserNode())
"""Nodes of the editor's own."""

INSIDE, OUTSIDE = "-10", "-20"
"""In a subgraph's links: the node that stands for its inputs, and the one for its outputs."""


class Missing(Enum):
    """JavaScript's undefined: a value that leaves no key behind, other than null."""

    VALUE = "undefined"


MISSING: Final = Missing.VALUE
Value: TypeAlias = "Json | Missing"


@dataclass(slots=True)
class Widget:
    """A field on a node: one not `saved` has no place in `widgets_values`, one not `sent` none in the prompt."""

    name: str
    kind: str
    value: Value = MISSING
    saved: bool = True
    sent: bool = True
    spec: InputSpec | None = None
    accept: Callable[[Value], Value] | None = None
    """What a pack's own field makes of a value that it is given; None: it takes every value as it is."""

    @property
    def large_text(self) -> bool:
        """Whether it is a text of several lines, which is never null."""
        return self.kind == "STRING" and self.spec is not None and self.spec.config[1].get("multiline") is True

    @property
    def dynamic_text(self) -> bool:
        """Whether `{a|b}` means a choice in it."""
        return self.spec is not None and self.spec.config[1].get("dynamicPrompts") is True


@dataclass(slots=True)
class Slot:
    """An input of a node: `link` is the id of what is linked in, `widget` the name of the field it stands for."""

    name: str
    type: str
    link: int | None = None
    widget: str | None = None
    promoted: Widget | None = None
    """On an instance of a subgraph: the field that the subgraph shows there, with the instance's own value."""
    label: str = ""
    """The name that it was given on this node."""


@dataclass(slots=True)
class Link:
    """From an output of one node to an input of another."""

    id: int
    origin: str
    origin_slot: int
    target: str
    target_slot: int = 0
    """As saved. Later editors have their slots in another order, so the slots' own links count."""
    type: str = "*"


@dataclass(slots=True)
class Port:
    """An input or an output of a subgraph, with the links that it has inside, in order."""

    name: str
    type: str
    links: list[int]


@dataclass(frozen=True, slots=True)
class NodeWarning:
    """Something about a node that the client should know, though the conversion went on."""

    message: str
    input: str | None = None
    suggestion: str | None = None


@dataclass(slots=True)
class UiNode:
    """One node. `node_class` is None for the editor's own, for instances of subgraphs and for unknown classes."""

    id: str
    type: str
    title: str = ""
    mode: int = 0
    inputs: list[Slot] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    fed: list[int] = field(default_factory=list)
    """Ids of the links that leave the first output."""
    widgets: list[Widget] = field(default_factory=list)
    properties: JsonObject = field(default_factory=dict)
    values: Json = None
    """What the file has as `widgets_values`."""
    matched: dict[str, list[str]] = field(default_factory=dict)
    """Names of slots that have to be of one type, by group."""
    node_class: NodeClass | None = None
    subgraph: Graph | None = None
    browser: BrowserNode | None = None
    """What it does in the browser, where that alone knows it."""
    written: JsonObject = field(default_factory=dict)
    """The node as the file has it, for what only a pack's script looks at."""
    warnings: list[NodeWarning] = field(default_factory=list)
    """What the client is told of this node if it runs."""

    def warn(self, message: str, input_name: str | None = None, suggestion: str | None = None) -> None:
        """Add a warning, once."""
        warning = NodeWarning(message, input_name, suggestion)
        if warning not in self.warnings:
            self.warnings.append(warning)

    @property
    def silent(self) -> bool:
        """Muted or bypassed."""
        return self.mode in (MUTED, BYPASSED)

    def slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.inputs if slot.name == name), None)

    def widget(self, name: str | None) -> Widget | None:
        return next((widget for widget in self.widgets if widget.name == name), None)

    def widget_of(self, slot: Slot) -> Widget | None:
        """The field that a slot stands for."""
        if slot.promoted is not None:
            return slot.promoted
        return self.widget(slot.widget) if slot.widget is not None else None


@dataclass(slots=True)
class Graph:
    """The whole workflow, or one subgraph: then `inputs` and `outputs` are its ports."""

    id: str = ""
    nodes: dict[str, UiNode] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    written: JsonObject = field(default_factory=dict)
    """The graph as the file has it, for what only a pack's script looks at."""

    def target(self, link_id: int) -> tuple[UiNode, Slot] | None:
        """The node and slot that a link ends in. The slot is told by its own link, never by a saved index."""
        link = self.links.get(link_id)
        node = self.nodes.get(link.target) if link else None
        slot = next((slot for slot in node.inputs if slot.link == link_id), None) if node else None
        return (node, slot) if node and slot else None
