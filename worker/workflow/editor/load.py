"""From the file to the graph that the editor holds: ids made unique, nodes given their classes, values their fields."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.editor.editor_graph import OWN_NODES, REROUTE, Graph, Slot, UiNode
from worker.workflow.editor.packs.custom_fields import custom_fields, of_unknown_type
from worker.workflow.editor.packs.registry import BROWSER_NODES, GIVE, READ
from worker.workflow.editor.saved import SavedGraph, SavedNode, SavedWorkflow
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.subgraphs.instance import promote
from worker.workflow.editor.subgraphs.proxies import adopt_proxies
from worker.workflow.editor.types import settle_matches
from worker.workflow.editor.values import give_values, repair_values

NO_FIELDS: frozenset[str] = frozenset()


class Loader:
    """Loads one file; `graphs` are its subgraphs by id, each with its nodes once they are loaded."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._graphs: dict[str, Graph] = {}
        self._shapes: dict[tuple[str, frozenset[str]], Shape] = {}
        self._unknown: dict[str, tuple[InputSpec, ...]] = {}

    def load(self, saved: SavedWorkflow) -> Graph:
        """Subgraphs are loaded before what uses them: an instance shows fields from inside."""
        for definition in saved.subgraphs:
            self._graphs[definition.id] = Graph(definition.id)
        for definition in _leaves_first(saved.subgraphs):
            self._fill(self._graphs[definition.id], definition)
        root = Graph()
        self._fill(root, saved.root)
        return root

    @property
    def subgraphs(self) -> list[Graph]:
        return list(self._graphs.values())

    def _fill(self, graph: Graph, saved: SavedGraph) -> None:
        graph.links = {link.id: link for link in saved.links}
        graph.inputs, graph.outputs, graph.written = saved.inputs, saved.outputs, saved.written
        for saved_node in saved.nodes:
            graph.nodes[saved_node.id] = self._node(graph, saved_node)
        for node in graph.nodes.values():
            if node.subgraph is not None:
                adopt_proxies(node, self._instances(graph, node.subgraph))
        settle_matches(graph)

    def _instances(self, graph: Graph, subgraph: Graph) -> list[UiNode]:
        everywhere = [*self._graphs.values(), graph]
        unique = {id(one): one for one in everywhere}.values()
        return [node for one in unique for node in one.nodes.values() if node.subgraph is subgraph]

    def _shape(self, saved: SavedNode) -> Shape:
        """The shape that the class of a node has in this file."""
        name = saved.type
        if name not in self._unknown:
            self._unknown[name] = of_unknown_type(self._catalog[name])
        unknown = self._unknown[name]
        if not unknown:
            return self._plain(name, NO_FIELDS)
        return self._plain(name, custom_fields(unknown, saved, partial(self._plain, name), self._catalog.output_types))

    def _plain(self, name: str, fields: frozenset[str]) -> Shape:
        if (name, fields) not in self._shapes:
            self._shapes[name, fields] = Shape(self._catalog[name], fields)
        return self._shapes[name, fields]

    def _node(self, graph: Graph, saved: SavedNode) -> UiNode:
        for read in READ:
            read(saved, self._catalog)
        node = UiNode(
            id=saved.id,
            type=saved.type,
            title=saved.title,
            mode=saved.mode,
            fed=saved.fed,
            properties=saved.properties,
            values=saved.values,
            written=saved.written,
        )
        if saved.type in self._graphs:
            node.subgraph = self._graphs[saved.type]
            promote(node, node.subgraph, saved)
        elif saved.type not in OWN_NODES and saved.type in self._catalog:
            shape = self._shape(saved).for_node(node, [slot.name for slot in saved.inputs])
            _configure(shape, saved, graph)
        else:
            node.inputs, node.outputs = saved.inputs, saved.outputs
            node.browser = BROWSER_NODES.get(saved.type)
            if saved.type == REROUTE and not node.inputs:
                node.inputs = [Slot("", "*")]
        return node


def _configure(shape: Shape, saved: SavedNode, graph: Graph) -> None:
    """Match what was saved to what the class has now: slots by name, values by their order."""
    node = shape.node
    node.outputs += saved.outputs[len(node.outputs) :]
    by_name = {slot.name: slot for slot in saved.inputs}
    for slot in node.inputs:
        if before := by_name.get(slot.name):
            slot.link, slot.label = before.link, before.label
    known = {slot.name for slot in node.inputs}
    node.inputs += [replace(slot) for slot in saved.inputs if slot.name not in known]
    for slot in list(node.inputs):
        if slot.link in graph.links:
            shape.grow(slot)
    if not any(give(shape, saved) for give in GIVE):
        give_values(shape, saved)
    repair_values(shape)
    fields = {widget.name for widget in node.widgets}
    node.inputs = [slot for slot in node.inputs if slot.widget is None or slot.widget in fields]


def _leaves_first(definitions: list[SavedGraph]) -> list[SavedGraph]:
    """In the order of the file where they use each other in a circle; that is refused later."""
    ids = {definition.id for definition in definitions}
    waiting, done, ordered = list(definitions), set[str](), list[SavedGraph]()
    while waiting:
        ready = [one for one in waiting if {node.type for node in one.nodes} & ids <= done | {one.id}]
        if not ready:
            return definitions
        ordered += ready
        done |= {one.id for one in ready}
        waiting = [one for one in waiting if one.id not in done]
    return ordered
