"""The graph that the editor holds in memory for a loaded file: nodes with their slots, widgets and links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from worker.workflow.catalog.node_class import InputSpec, NodeClass
from worker.workflow.json_value import Json, JsonObject

MUTED, BYPASSED = 2, 4
"""Modes of a node. A muted node does not run. A bypassed node passes its inputs on to its outputs."""
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"


@dataclass(frozen=True, slots=True)
class BrowserNode:
    """The behavior of a class that exists only in the browser. Such a node never appears in a prompt.

    By default each output passes on the input with the same number. Some nodes read a named value instead:
    `gets_from` is the class of the nodes that set the name, `enclosing` says whether the enclosing graphs are searched
    as well, and `strict` says whether exactly one node must set the name. `refused` is the reason why a workflow that
    uses the node's output cannot be converter. An empty text means that it can.
    """

    gets_from: str = ""
    enclosing: bool = False
    strict: bool = False
    refused: str = ""


OWN_NODES: Final = dict.fromkeys((REROUTE, PRIMITIVE, "Note", "MarkdownNote"), BrowserNode())
"""Classes of the editor itself."""

INSIDE, OUTSIDE = "-10", "-20"
"""Ids in the links of a subgraph: the pseudo-node of its inputs, and the pseudo-node of its outputs."""


class Missing(Enum):
    """JavaScript's `undefined`: unlike null, such a value leaves no key in an object."""

    VALUE = "undefined"


MISSING: Final = Missing.VALUE
Value: TypeAlias = "Json | Missing"


@dataclass(slots=True)
class Widget:
    """A field of a node, such as a number or a text. The editor's code calls it a widget."""

    name: str
    kind: str
    value: Value = MISSING
    is_saved: bool = True
    """Whether the file has its value in `widgets_values`."""
    is_sent: bool = True
    """Whether the prompt has its value as an input."""
    spec: InputSpec | None = None
    """The input of the class that the field belongs to, or None for a field that only the editor or a script adds."""
    converter: Callable[[Value], Value] | None = None
    """Returns the value that the field holds when a script sets it to another. None means that it holds any value."""

    @property
    def is_multiline(self) -> bool:
        """Whether the field is a text of several lines. Such a field is sent as "" in place of null."""
        return self.kind == "STRING" and self.spec is not None and self.spec.config[1].get("multiline") is True

    @property
    def has_choices(self) -> bool:
        """Whether `{a|b}` in the text means a random choice."""
        return self.spec is not None and self.spec.config[1].get("dynamicPrompts") is True


@dataclass(slots=True)
class Slot:
    """An input of a node. `link` is the id of the link that feeds it, `widget` the name of the field that it feeds."""

    name: str
    type: str
    link: int | None = None
    widget: str | None = None
    promoted: Widget | None = None
    """The inner field that an instance of a subgraph shows at this slot, with the instance's own value."""
    label: str = ""
    """The user's own name for the slot."""


@dataclass(slots=True)
class Link:
    """A link from an output of the node `origin` to an input of the node `target`."""

    id: int
    origin: str
    origin_slot: int
    target: str
    target_slot: int = 0
    """The saved index. Later editors order slots differently, so that the slots' own `link` decides."""
    type: str = "*"


@dataclass(slots=True)
class Port:
    """An input or an output of a subgraph, with the ids of its links inside, in order."""

    name: str
    type: str
    links: list[int]


@dataclass(frozen=True, slots=True)
class NodeWarning:
    """A remark about a node that the client receives although the conversion succeeded."""

    message: str
    input: str | None = None
    suggestion: str | None = None


@dataclass(slots=True)
class UiNode:
    """One node. `node_class` is None for the editor's own nodes, instances of subgraphs and unknown classes."""

    id: str
    type: str
    title: str = ""
    mode: int = 0
    inputs: list[Slot] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    first_output_links: list[int] = field(default_factory=list)
    """Ids of the links that leave the first output."""
    widgets: list[Widget] = field(default_factory=list)
    properties: JsonObject = field(default_factory=dict)
    values: Json = None
    """The `widgets_values` of the file."""
    match_groups: dict[str, list[str]] = field(default_factory=dict)
    """Names of slots that must have the same type, by group."""
    node_class: NodeClass | None = None
    subgraph: Graph | None = None
    browser: BrowserNode | None = None
    """The behavior of the node if its class exists only in the browser."""
    raw: JsonObject = field(default_factory=dict)
    """The node as saved, for the rules of packs."""
    warnings: list[NodeWarning] = field(default_factory=list)
    """Warnings that the client receives if the node runs."""

    def warn(self, message: str, input_name: str | None = None, suggestion: str | None = None) -> None:
        """Add a warning unless the node already has the same one."""
        warning = NodeWarning(message, input_name, suggestion)
        if warning not in self.warnings:
            self.warnings.append(warning)

    @property
    def is_disabled(self) -> bool:
        """Whether the node is muted or bypassed."""
        return self.mode in (MUTED, BYPASSED)

    def slot(self, name: str) -> Slot | None:
        """Return the input slot with this name, or None."""
        return next((slot for slot in self.inputs if slot.name == name), None)

    def widget(self, name: str | None) -> Widget | None:
        """Return the field with this name, or None."""
        return next((widget for widget in self.widgets if widget.name == name), None)

    def widget_of(self, slot: Slot) -> Widget | None:
        """Return the field that a slot feeds. In a subgraph instance this is the inner field that the slot shows.

        Return None for a slot that feeds no field (a socket).
        """
        if slot.promoted is not None:
            return slot.promoted
        return self.widget(slot.widget) if slot.widget is not None else None


@dataclass(slots=True)
class Graph:
    """The workflow itself or one subgraph. `inputs` and `outputs` are the ports of a subgraph."""

    id: str = ""
    nodes: dict[str, UiNode] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    raw: JsonObject = field(default_factory=dict)
    """The graph as saved, for the rules of packs."""

    def link_target(self, link_id: int) -> tuple[UiNode, Slot] | None:
        """Return the node and the slot at the end of a link, or None if the graph does not have both.

        The slot is the one that names the link, because the index that is saved in the link may be outdated.
        """
        link = self.links.get(link_id)
        node = self.nodes.get(link.target) if link else None
        slot = next((slot for slot in node.inputs if slot.link == link_id), None) if node else None
        return (node, slot) if node and slot else None
