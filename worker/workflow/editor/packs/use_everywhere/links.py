"""Links are made from what is sent to every input that it reaches, before the prompt is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.workflow.editor.editor_graph import INSIDE, OUTSIDE, BrowserNode, Graph, Link, Port, Slot, UiNode
from worker.workflow.editor.packs.pack import Pack
from worker.workflow.editor.packs.use_everywhere.areas import Areas
from worker.workflow.editor.packs.use_everywhere.broadcasts import Broadcast, Outgoing, Target, broadcasts, type_of
from worker.workflow.editor.packs.use_everywhere.filters import Budget
from worker.workflow.editor.packs.use_everywhere.settings import ANYTHING, PROMPTS, is_sender, receives

_OUTPUTS = "subgraph output node"


def link(graphs: Sequence[Graph]) -> None:
    """Link what is sent in each graph. Raises CannotConvert for what would take too long."""
    budget = Budget()
    areas = Areas(graphs[0], budget)
    for graph in graphs:
        _give_types(graph)
        sent = list(broadcasts(graph, areas, budget))
        if sent:
            budget.compare(len(sent) * sum(len(node.inputs) for node in graph.nodes.values() if not is_sender(node)))
            _link_inputs(graph, graphs[0], sent)
            _link_outputs(graph, sent)


def _give_types(graph: Graph) -> None:
    """What is linked into a sender has the type of its link, which counts where that comes from a bypassed node."""
    for node in graph.nodes.values():
        for slot in node.inputs if is_sender(node) else ():
            found = graph.links.get(slot.link) if slot.link is not None else None
            if found is not None and slot.type == "*":
                slot.type = type_of(graph, found)


def _link_inputs(graph: Graph, root: Graph, sent: Sequence[Broadcast]) -> None:
    temporary = _temporary(root)
    found: list[tuple[UiNode, Slot, Outgoing]] = []
    for node in graph.nodes.values():
        if is_sender(node):
            continue
        for slot in _open_inputs(node, graph, temporary, in_workflow=graph is root):
            target = Target(node.id, _title(node), slot.name, slot.label, slot.type)
            best = _best(sent, target)
            if best is not None:
                found.append((node, slot, best.sent))
    for node, slot, outgoing in found:
        slot.link = _new_link(graph, outgoing, node.id)


def _open_inputs(node: UiNode, graph: Graph, temporary: frozenset[int], *, in_workflow: bool) -> Iterator[Slot]:
    """The inputs that nothing is linked to, or only what the pack itself linked when the file was saved."""
    for slot in node.inputs:
        linked = slot.link is not None and slot.link in graph.links and slot.link not in temporary
        if not linked and receives(node, slot, in_workflow=in_workflow):
            yield slot


def _link_outputs(graph: Graph, sent: Sequence[Broadcast]) -> None:
    """Outputs of a subgraph that nothing inside is linked to receive as well."""
    for port in graph.outputs:
        if any(link_id in graph.links for link_id in port.links):
            continue
        best = _best(sent, Target(OUTSIDE, _OUTPUTS, port.name, "", port.type))
        if best is not None:
            port.links = [_new_link(graph, best.sent, OUTSIDE)]


def _best(sent: Sequence[Broadcast], target: Target) -> Broadcast | None:
    """The one of highest priority. Two of the same reach nothing."""
    reaching = sorted((one for one in sent if one.reaches(target)), key=lambda one: -one.priority)
    if not reaching or (len(reaching) > 1 and reaching[0].priority == reaching[1].priority):
        return None
    return reaching[0]


def _new_link(graph: Graph, sent: Outgoing, target: str) -> int:
    made = Link(max(graph.links, default=0) + 1, sent.origin, sent.origin_slot, target, type=sent.type)
    graph.links[made.id] = made
    if sent.origin == INSIDE and 0 <= sent.origin_slot < len(graph.inputs):
        _port(graph, sent).links.append(made.id)
    return made.id


def _port(graph: Graph, sent: Outgoing) -> Port:
    return graph.inputs[sent.origin_slot]


def _temporary(root: Graph) -> frozenset[int]:
    """Links that stood in the file only because it was saved while they were made, as in a picture."""
    extra = root.written.get("extra")
    added = extra.get("links_added_by_ue") if isinstance(extra, dict) else None
    return frozenset(one for one in added if isinstance(one, int)) if isinstance(added, list) else frozenset()


def _title(node: UiNode) -> str:
    return node.title or (node.node_class.display_name if node.node_class else "") or node.type


_SENDERS = (ANYTHING, f"{ANYTHING}?", f"{ANYTHING}3", PROMPTS)
USE_EVERYWHERE: Final = Pack("cg-use-everywhere", browser_nodes=dict.fromkeys(_SENDERS, BrowserNode()), link=link)
