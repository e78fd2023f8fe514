"""From the file to the graph that the editor holds: ids made unique, nodes given their classes, values their fields."""

from __future__ import annotations

from dataclasses import replace

from worker.graph.catalog import Catalog
from worker.graph.json_value import Json
from worker.graph.node_class import COMBO, DYNAMIC_COMBO, NodeClass, Presence
from worker.graph.ui.fields import CONTROL, choices_of, forced
from worker.graph.ui.instance import promote
from worker.graph.ui.live import MISSING, REROUTE, VIRTUAL, Graph, Slot, UiNode, Value
from worker.graph.ui.proxies import adopt_proxies
from worker.graph.ui.saved import SavedGraph, SavedNode, SavedWorkflow
from worker.graph.ui.shape import Shape

_COMBOS = (COMBO, DYNAMIC_COMBO)

_BY_NAME = "VideoHelperSuite"
"""The node pack whose script stores values by the names of their fields."""


class Loader:
    """Loads one file; `graphs` are its subgraphs by id, each with its nodes once they are loaded."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._graphs: dict[str, Graph] = {}

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
        graph.inputs, graph.outputs = saved.inputs, saved.outputs
        for saved_node in saved.nodes:
            graph.nodes[saved_node.id] = self._node(graph, saved_node)
        for node in graph.nodes.values():
            if node.subgraph is not None:
                adopt_proxies(node, list(self._instances(graph, node.subgraph)))

    def _instances(self, graph: Graph, subgraph: Graph) -> list[UiNode]:
        everywhere = [*self._graphs.values(), graph]
        unique = {id(one): one for one in everywhere}.values()
        return [node for one in unique for node in one.nodes.values() if node.subgraph is subgraph]

    def _node(self, graph: Graph, saved: SavedNode) -> UiNode:
        node = UiNode(
            id=saved.id,
            type=saved.type,
            title=saved.title,
            mode=saved.mode,
            fed=saved.fed,
            properties=saved.properties,
            values=saved.values,
        )
        if saved.type in self._graphs:
            node.subgraph = self._graphs[saved.type]
            promote(node, node.subgraph, saved)
        elif saved.type not in VIRTUAL and saved.type in self._catalog:
            node.node_class = self._catalog[saved.type]
            _configure(node, node.node_class, saved, graph)
        else:
            node.inputs, node.outputs = saved.inputs, saved.outputs
            if saved.type == REROUTE:
                node.inputs = saved.inputs or [Slot("", "*")]
        return node


def _configure(node: UiNode, node_class: NodeClass, saved: SavedNode, graph: Graph) -> None:
    """Match what was saved to what the class has now: slots by name, values by their order."""
    shape = Shape(node, node_class, [slot.name for slot in saved.inputs])
    node.outputs += saved.outputs[len(node.outputs) :]
    by_name = {slot.name: slot for slot in saved.inputs}
    known = {slot.name for slot in node.inputs}
    for slot in node.inputs:
        if slot.name in by_name:
            slot.link = by_name[slot.name].link
    node.inputs += [replace(slot) for slot in saved.inputs if slot.name not in known]
    for slot in list(node.inputs):
        if slot.link in graph.links:
            shape.grow(slot)
    _give_values(shape, saved)
    _mend_values(shape)
    node.inputs = [slot for slot in node.inputs if slot.widget is None or node.widget(slot.widget)]


def _give_values(shape: Shape, saved: SavedNode) -> None:
    node, values = shape.node, saved.values
    if isinstance(values, dict) and node.node_class and _BY_NAME in node.node_class.pack:
        for widget in list(node.widgets):
            if widget.name in values:
                shape.set_value(widget, values[widget.name])
        return
    if isinstance(values, list):
        values = _without_dummies(node, values)
    place = given = 0
    while values is not None and place < len(node.widgets):  # setting one may add more behind it
        widget = node.widgets[place]
        place += 1
        if widget.saved:
            if isinstance(values, list) and given >= len(values):
                break
            ahead = values[given + 1 :] if isinstance(values, list) and widget.kind == DYNAMIC_COMBO else ()
            shape.set_value(widget, _value_at(values, given), ahead)
            given += 1


def _value_at(values: list[Json] | dict[str, Json], place: int) -> Value:
    return values[place] if isinstance(values, list) else values.get(str(place), MISSING)


def _without_dummies(node: UiNode, values: list[Json]) -> list[Json]:
    """Editors before 1.16 saved a value for inputs that are only sockets; told by the number of values."""
    names = {widget.name for widget in node.widgets}
    dummies: list[bool] = []
    for spec in node.node_class.inputs if node.node_class else ():
        if spec.presence is not Presence.HIDDEN and (spec.name in names or forced(spec)):
            dummies += [forced(spec), False] if spec.config[1].get(CONTROL) else [forced(spec)]
    if len(dummies) != len(values) or not any(dummies):
        return values
    return [value for value, dummy in zip(values, dummies, strict=True) if not dummy]


def _mend_values(shape: Shape) -> None:
    """What the editor repairs after loading: a combo without a value, and samplers by an old name."""
    node = shape.node
    for widget in list(node.widgets):
        value = widget.value
        if node.type in ("KSampler", "KSamplerAdvanced") and widget.name == "sampler_name":
            if isinstance(value, str) and value.startswith("sample_"):
                widget.value = value[len("sample_") :]
        if value is None or value is MISSING:
            choices = choices_of(widget.spec) if widget.spec and widget.kind in _COMBOS else []
            if choices:
                shape.set_value(widget, choices[0])


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
