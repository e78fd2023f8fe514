"""Loader of a saved workflow: builds the graph that the editor holds, with classes for nodes and values for fields."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.editor.editor_graph import OWN_NODES, REROUTE, Graph, Slot, UiNode
from worker.workflow.editor.field_values import repair_values, set_field_values
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.custom_fields import custom_fields, inputs_of_unknown_type
from worker.workflow.editor.packs.registry import BROWSER_NODES, REWRITE_NODE, SET_VALUES
from worker.workflow.editor.saved_workflow import SavedGraph, SavedNode, SavedWorkflow
from worker.workflow.editor.slot_types import resolve_match_types
from worker.workflow.editor.subgraphs.instance import build_instance
from worker.workflow.editor.subgraphs.proxies import convert_proxies

NO_FIELDS: frozenset[str] = frozenset()


class GraphLoader:
    """Loads one workflow file against a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._subgraphs: dict[str, Graph] = {}
        self._shapes: dict[tuple[str, frozenset[str]], NodeShape] = {}
        self._unknown_inputs: dict[str, tuple[InputSpec, ...]] = {}

    def load(self, saved: SavedWorkflow) -> Graph:
        """Return the graph of the workflow, and load all subgraphs of the file into `subgraphs`.

        A subgraph is loaded before the graphs that use it, because an instance shows fields of the inner nodes.
        """
        for definition in saved.subgraphs:
            self._subgraphs[definition.id] = Graph(definition.id)
        for definition in _inner_first(saved.subgraphs):
            self._fill(self._subgraphs[definition.id], definition)
        root = Graph()
        self._fill(root, saved.root)
        return root

    @property
    def subgraphs(self) -> list[Graph]:
        """The subgraphs of the file, which `load` fills."""
        return list(self._subgraphs.values())

    def _fill(self, graph: Graph, saved: SavedGraph) -> None:
        """Fill an empty graph with the links and nodes of the file."""
        graph.links = {link.id: link for link in saved.links}
        graph.inputs, graph.outputs, graph.raw = saved.inputs, saved.outputs, saved.raw
        for saved_node in saved.nodes:
            graph.nodes[saved_node.id] = self._node(graph, saved_node)
        for node in graph.nodes.values():
            if node.subgraph is not None:
                convert_proxies(node, self._instances(graph, node.subgraph))
        resolve_match_types(graph)

    def _instances(self, graph: Graph, subgraph: Graph) -> list[UiNode]:
        """Return all instances of a subgraph, in the other subgraphs and in `graph`, which may be the workflow."""
        graphs = [other for other in self.subgraphs if other is not graph]
        return [node for each in (*graphs, graph) for node in each.nodes.values() if node.subgraph is subgraph]

    def _shape(self, saved: SavedNode) -> NodeShape:
        """Return the slots and fields of a node's class.

        For inputs of a type that the editor does not know, the values of the file decide whether they are fields.
        """
        name = saved.type
        if name not in self._unknown_inputs:
            self._unknown_inputs[name] = inputs_of_unknown_type(self._catalog[name])
        unknown = self._unknown_inputs[name]
        if not unknown:
            return self._cached_shape(name, NO_FIELDS)
        shape_with = partial(self._cached_shape, name)
        return shape_with(custom_fields(unknown, saved, shape_with, self._catalog.output_types))

    def _cached_shape(self, name: str, fields: frozenset[str]) -> NodeShape:
        """Return the slots and fields of a class in which these inputs of unknown type are fields. Built once."""
        if (name, fields) not in self._shapes:
            self._shapes[name, fields] = NodeShape(self._catalog[name], fields)
        return self._shapes[name, fields]

    def _node(self, graph: Graph, saved: SavedNode) -> UiNode:
        """Return one node: an instance of a subgraph, a node of the catalog, or another node as it was saved.

        The rules of node packs may change the saved node first.
        """
        for rewrite_node in REWRITE_NODE:
            rewrite_node(saved, self._catalog)
        node = UiNode(
            id=saved.id,
            type=saved.type,
            title=saved.title,
            mode=saved.mode,
            first_output_links=saved.first_output_links,
            properties=saved.properties,
            values=saved.values,
            raw=saved.raw,
        )
        if saved.type in self._subgraphs:
            node.subgraph = self._subgraphs[saved.type]
            build_instance(node, node.subgraph, saved)
        elif saved.type not in OWN_NODES and saved.type in self._catalog:
            shape = self._shape(saved).apply_to(node, [slot.name for slot in saved.inputs])
            _configure(shape, saved, graph)
        else:
            node.inputs, node.outputs = saved.inputs, saved.outputs
            node.browser = BROWSER_NODES.get(saved.type)
            if saved.type == REROUTE and not node.inputs:
                node.inputs = [Slot("", "*")]
        return node


def _configure(shape: NodeShape, saved: SavedNode, graph: Graph) -> None:
    """Apply a saved node to the slots and fields of its class: links by the name of the slot, values by order.

    Slots and outputs that only the file has are kept, because scripts of node packs add them.
    """
    node = shape.node
    node.outputs += saved.outputs[len(node.outputs) :]
    saved_slots = {slot.name: slot for slot in saved.inputs}
    for slot in node.inputs:
        if saved_slot := saved_slots.get(slot.name):
            slot.link, slot.label = saved_slot.link, saved_slot.label
    class_slots = {slot.name for slot in node.inputs}
    node.inputs += [replace(slot) for slot in saved.inputs if slot.name not in class_slots]
    for slot in list(node.inputs):
        if slot.link in graph.links:
            shape.grow(slot)
    is_set_by_pack = any(set_values(shape, saved) for set_values in SET_VALUES)
    if not is_set_by_pack:
        set_field_values(shape, saved)
    repair_values(shape)
    fields = {widget.name for widget in node.widgets}
    node.inputs = [slot for slot in node.inputs if slot.widget is None or slot.widget in fields]


def _inner_first(definitions: list[SavedGraph]) -> list[SavedGraph]:
    """Return the subgraphs ordered so that each comes after those that it contains.

    If subgraphs contain each other, the order stays as in the file: the conversion rejects such a workflow later.
    """
    ids = {definition.id for definition in definitions}
    waiting, ordered_ids, ordered = list(definitions), set[str](), list[SavedGraph]()
    while waiting:
        ready = []
        for definition in waiting:
            contained = {node.type for node in definition.nodes} & ids  # the type of an instance is the subgraph's id
            if contained <= ordered_ids | {definition.id}:
                ready.append(definition)
        if not ready:
            return definitions
        ordered += ready
        ordered_ids |= {definition.id for definition in ready}
        waiting = [definition for definition in waiting if definition.id not in ordered_ids]
    return ordered
