"""Links from broadcasts to the inputs that receive them, added before the prompt is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.workflow.editor.editor_graph import INSIDE, OUTSIDE, BrowserNode, Graph, Link, Slot, UiNode
from worker.workflow.editor.packs.pack_rules import PackRules
from worker.workflow.editor.packs.use_everywhere.broadcasts import (
    Broadcast,
    BroadcastSource,
    BroadcastTarget,
    broadcasts,
    link_type,
)
from worker.workflow.editor.packs.use_everywhere.filters import FilterBudget
from worker.workflow.editor.packs.use_everywhere.groups import NodeGroups
from worker.workflow.editor.packs.use_everywhere.settings import ANYTHING, PROMPTS, accepts_broadcasts, is_sender

_OUTPUTS = "subgraph output node"


def add_links(graphs: Sequence[Graph]) -> None:
    """Link the values that the senders of Anything Everywhere broadcast to the inputs that receive them, in each graph.

    The first graph is the workflow itself. Raises CannotConvert if that would take too long.
    """
    budget = FilterBudget()
    groups = NodeGroups(graphs[0], budget)
    for graph in graphs:
        _set_sender_types(graph)
        sent = list(broadcasts(graph, groups, budget))
        if sent:
            budget.spend_comparisons(
                len(sent) * sum(len(node.inputs) for node in graph.nodes.values() if not is_sender(node))
            )
            _link_inputs(graph, graphs[0], sent)
            _link_outputs(graph, sent)


def _set_sender_types(graph: Graph) -> None:
    """Give inputs of senders that take any type the type of their link.

    The type decides which input a bypassed node before the sender passes on.
    """
    for node in graph.nodes.values():
        for slot in node.inputs if is_sender(node) else ():
            link = graph.links.get(slot.link) if slot.link is not None else None
            if link is not None and slot.type == "*":
                slot.type = link_type(graph, link)


def _link_inputs(graph: Graph, root: Graph, sent: Sequence[Broadcast]) -> None:
    """Link each unconnected input to the broadcast that reaches it.

    All matches are computed before links are added, so that a new link does not influence the other matches.
    """
    temporary = _temporary_links(root)
    matches: list[tuple[UiNode, Slot, BroadcastSource]] = []
    for node in graph.nodes.values():
        if is_sender(node):
            continue
        for slot in _unconnected_inputs(node, graph, temporary, in_workflow=graph is root):
            target = BroadcastTarget(node.id, _title(node), slot.name, slot.label, slot.type)
            best = _best_broadcast(sent, target)
            if best is not None:
                matches.append((node, slot, best.source))
    for node, slot, source in matches:
        slot.link = _add_link(graph, source, node.id)


def _unconnected_inputs(node: UiNode, graph: Graph, temporary: frozenset[int], *, in_workflow: bool) -> Iterator[Slot]:
    """Yield the inputs of a node that accept broadcasts and have no link, or only a temporary one.

    `temporary` are the ids of the links that the pack itself added. `in_workflow` is False inside a subgraph.
    """
    for slot in node.inputs:
        is_linked = slot.link is not None and slot.link in graph.links and slot.link not in temporary
        if not is_linked and accepts_broadcasts(node, slot, in_workflow=in_workflow):
            yield slot


def _link_outputs(graph: Graph, sent: Sequence[Broadcast]) -> None:
    """Link each output of a subgraph that nothing inside is linked to, to the broadcast that reaches it."""
    for port in graph.outputs:
        if any(link_id in graph.links for link_id in port.links):
            continue
        best = _best_broadcast(sent, BroadcastTarget(OUTSIDE, _OUTPUTS, port.name, "", port.type))
        if best is not None:
            port.links = [_add_link(graph, best.source, OUTSIDE)]


def _best_broadcast(sent: Sequence[Broadcast], target: BroadcastTarget) -> Broadcast | None:
    """Return the broadcast of highest priority that reaches an input. Return None if none does, or for a tie."""
    reaching = sorted((broadcast for broadcast in sent if broadcast.reaches(target)), key=lambda each: -each.priority)
    if not reaching:
        return None
    is_tie = len(reaching) > 1 and reaching[0].priority == reaching[1].priority
    return None if is_tie else reaching[0]


def _add_link(graph: Graph, source: BroadcastSource, target: str) -> int:
    """Add a link from a broadcast value to a node, and return its id."""
    link = Link(max(graph.links, default=0) + 1, source.origin, source.origin_slot, target, type=source.type)
    graph.links[link.id] = link
    if source.origin == INSIDE and 0 <= source.origin_slot < len(graph.inputs):
        graph.inputs[source.origin_slot].links.append(link.id)
    return link.id


def _temporary_links(root: Graph) -> frozenset[int]:
    """Return the ids of the links that the pack had added only while the file was saved."""
    extra = root.raw.get("extra")
    added = extra.get("links_added_by_ue") if isinstance(extra, dict) else None
    if not isinstance(added, list):
        return frozenset()
    return frozenset(link_id for link_id in added if isinstance(link_id, int))


def _title(node: UiNode) -> str:
    """Return the title that the editor shows for a node: the user's, else the display name or name of its class."""
    display_name = node.node_class.display_name if node.node_class else ""
    return node.title or display_name or node.type


_SENDER_CLASSES = (ANYTHING, f"{ANYTHING}?", f"{ANYTHING}3", PROMPTS)
USE_EVERYWHERE: Final = PackRules(
    "cg-use-everywhere", browser_nodes=dict.fromkeys(_SENDER_CLASSES, BrowserNode()), add_links=add_links
)
