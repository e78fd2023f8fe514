"""Conversion of a workflow file to a prompt: load the graph, apply primitives, expand subgraphs, write each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.errors import CannotConvert, Detail
from worker.prompt_changes import SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.provider import pack_id
from worker.workflow.editor.editor_graph import MISSING, MUTED, UiNode, Value, Widget
from worker.workflow.editor.fields import ONLY_IN_A_BROWSER, RECORDED
from worker.workflow.editor.graph_loader import GraphLoader
from worker.workflow.editor.javascript import to_js_string, to_json
from worker.workflow.editor.packs.pack_rules import ConversionContext, OutgoingNode
from worker.workflow.editor.packs.registry import ADD_LINKS, CHANGE_INPUTS
from worker.workflow.editor.primitives import apply_primitives
from worker.workflow.editor.saved_workflow import read_workflow
from worker.workflow.editor.seeds import seed_fields
from worker.workflow.editor.subgraphs.flat import FlatGraph, FlatSource
from worker.workflow.editor.subgraphs.flat_node import FlatNode, node_detail
from worker.workflow.editor.subgraphs.groups import expand_group_nodes
from worker.workflow.editor.subgraphs.ids import make_ids_unique
from worker.workflow.editor.text import SAVERS, expand_choices, fill_placeholders
from worker.workflow.json_value import Json
from worker.workflow.missing_class import listed_node_ids
from worker.workflow.prompt import Node, Prompt
from worker.workflow.validation.suggestion import missing_class_suggestion

MAX_DETAILS = 50
MAX_SUGGESTIONS = 5  # finding the nearest of two thousand class names takes a while


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted workflow: the prompt, and remarks about single nodes.

    `left_out` lists the nodes that are muted or bypassed. `seeds` lists the inputs that get a fresh seed for every job.
    In the prompt such an input has the saved value. If the saved value only means "random", the prompt has a
    placeholder that ComfyUI accepts.
    """

    prompt: Prompt
    warnings: tuple[Detail, ...] = ()
    left_out: tuple[Detail, ...] = ()
    seeds: tuple[SeedField, ...] = ()


def convert(workflow: object, catalog: Catalog, context: ConversionContext | None = None) -> Conversion:
    """Return the prompt that the editor would send for a saved workflow, with the editor's ids, values and links.

    Raises CannotConvert when the value is not a workflow file, when a class is not in the catalog, or when a value
    exists only in the browser. The details name each node concerned.
    """
    saved = read_workflow(workflow)
    make_ids_unique(saved)
    expand_group_nodes(saved, catalog)
    loader = GraphLoader(catalog)
    root = loader.load(saved)
    graphs = [root, *loader.subgraphs]
    apply_primitives(graphs)
    for add_links in ADD_LINKS:  # the rules of the node packs whose browser scripts add links
        add_links(graphs)
    flat = FlatGraph(root)
    flat_nodes = flat.nodes.values()
    running = [flat_node for flat_node in flat_nodes if _is_in_prompt(flat_node.node)]
    _raise_if_not_convertible(running, catalog)
    writer = _NodeWriter(flat, context or ConversionContext())
    prompt: Prompt = {flat_node.id: writer.write(flat_node) for flat_node in running}
    seeds = _all_seeds(writer.seeds, running, prompt)
    _remove_dangling_links(prompt)
    warnings = (*_warnings(flat_nodes), *flat.warnings)
    return Conversion(prompt, warnings, tuple(_left_out(flat_nodes)), seeds)


def _left_out(flat_nodes: Iterable[FlatNode]) -> Iterator[Detail]:
    """Yield a remark for each muted or bypassed node. Nodes that exist only in the browser are never in a prompt."""
    for flat_node in flat_nodes:
        node = flat_node.node
        if node.is_disabled and node.browser is None:
            yield node_detail(flat_node, "muted" if node.mode == MUTED else "bypassed")


def _all_seeds(pack_seeds: list[SeedField], running: list[FlatNode], prompt: Prompt) -> tuple[SeedField, ...]:
    """Return the inputs that get a fresh seed for every job: those that packs report, then those of the editor.

    An input for which a pack has reported a seed is not listed again.
    """
    from_packs = {(seed.node_id, seed.input) for seed in pack_seeds}
    from_editor = [seed for seed in seed_fields(running, prompt) if (seed.node_id, seed.input) not in from_packs]
    return *pack_seeds, *from_editor


def _is_in_prompt(node: UiNode) -> bool:
    """Return whether a node is part of the prompt.

    An instance of a subgraph is not, because its inner nodes are. A node that exists only in the browser is not either.
    """
    return not node.is_disabled and node.subgraph is None and node.browser is None


def _raise_if_not_convertible(running: Iterable[FlatNode], catalog: Catalog) -> None:
    """Raise CannotConvert if a node has an unknown class or a value that exists only in the browser."""
    details: list[Detail] = []
    missing: dict[str, list[FlatNode]] = {}
    for flat_node in running:
        node = flat_node.node
        if node.node_class is None:
            missing.setdefault(node.type, []).append(flat_node)
            continue
        browser_field = next((widget for widget in node.widgets if widget.kind in ONLY_IN_A_BROWSER), None)
        if browser_field is not None:
            reason = f"the browser makes the value of {browser_field.name!r} when the workflow is queued"
            details.append(node_detail(flat_node, reason, browser_field.name, "Export the workflow in API format."))
    details = [*_missing_class_details(missing, catalog), *details]
    if details:
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        first = details[0]
        raise CannotConvert(f"node {first.node_id} ({first.node_title}): {first.message}{more}", details[:MAX_DETAILS])


def _missing_class_details(missing: Mapping[str, Sequence[FlatNode]], catalog: Catalog) -> Iterator[Detail]:
    """Yield one detail for each class that the catalog lacks, at the first node of that class.

    `missing` has the nodes by class. A similar class is suggested for the first MAX_SUGGESTIONS classes only.
    """
    for number, (class_type, flat_nodes) in enumerate(missing.items()):
        packs = [pack_id(flat_node.node.properties) for flat_node in flat_nodes]
        pack = next((pack for pack in packs if pack), None)
        suggestion = missing_class_suggestion(class_type, catalog if number < MAX_SUGGESTIONS else None, pack)
        nodes = listed_node_ids([flat_node.id for flat_node in flat_nodes])
        yield node_detail(flat_nodes[0], f"the class {class_type!r} is not in the catalog{nodes}", None, suggestion)


def _warnings(flat_nodes: Iterable[FlatNode]) -> Iterator[Detail]:
    """Yield the warnings of the nodes that are not disabled."""
    for flat_node in flat_nodes:
        if flat_node.node.is_disabled:
            continue
        if any(widget.kind == RECORDED for widget in flat_node.node.widgets):
            yield node_detail(
                flat_node, "a recording that was made in the browser is not in the file, so nothing is sent for it"
            )
        for warning in flat_node.node.warnings:
            yield node_detail(flat_node, warning.message, warning.input, warning.suggestion)


def _remove_dangling_links(prompt: Prompt) -> None:
    """Remove the inputs that are links to nodes which are not in the prompt."""
    for node in prompt.values():
        # Lists in the prompt are links, because `_set_input` wraps all other lists.
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not isinstance(value, list) or str(value[0]) in prompt
        }


class _NodeWriter:
    """Writes the nodes of a flat graph into the prompt and collects the seeds that packs draw."""

    def __init__(self, flat: FlatGraph, context: ConversionContext) -> None:
        self._flat = flat
        self._context = context
        self.seeds: list[SeedField] = []

    def write(self, flat_node: FlatNode) -> Node:
        """Return one node of the prompt: its fields, then its links, then the changes of the packs.

        A pack may add to `seeds`. Adds a warning to the flat graph for each link without a source.
        """
        node = flat_node.node
        assert node.node_class is not None  # noqa: S101 - checked before
        inputs: dict[str, Json] = {}
        for widget in node.widgets:
            if widget.is_sent and widget.name:
                _set_input(inputs, widget.name, self._value(flat_node, widget), widget)
        for slot in node.inputs:
            if slot.link is None:
                continue
            source = self._flat.source_of(flat_node, slot)
            if isinstance(source, FlatSource):
                inputs[slot.name] = [source.id, source.slot]
            elif source is not None:  # a field that a subgraph instance shows
                _set_input(inputs, slot.name, source.value, source)
        outgoing = OutgoingNode(flat_node, inputs, self.seeds, self._context)
        for change_inputs in CHANGE_INPUTS:  # the rules of the node packs
            change_inputs(outgoing)
        title = node.title or node.node_class.display_name
        return {"class_type": node.type, "inputs": inputs, "_meta": {"title": title}}

    def _value(self, flat_node: FlatNode, widget: Widget) -> Value:
        """Return the value of a field as it is sent.

        Choices `{a|b}` are drawn and `%placeholders%` are filled in. A multiline text without a value becomes "".
        """
        value = widget.value
        if isinstance(value, str):
            if widget.has_choices:
                return expand_choices(value, self._context.rng)
            if widget.name == "filename_prefix" and flat_node.node.type in SAVERS:
                return fill_placeholders(value, self._field_text, self._context.now)
            return value
        return "" if value is None and widget.is_multiline else value

    def _field_text(self, node_name: str, field_name: str) -> str | None:
        """Return the text of a field of the first node with this name, or None if there is no such node or field.

        A node is named by its property "Node name for S&R" (search and replace). The title counts if no property does.
        """
        nodes = [flat_node.node for flat_node in self._flat.nodes.values()]
        named = [node for node in nodes if node.properties.get("Node name for S&R") == node_name]
        if not named:
            named = [node for node in nodes if node.title == node_name]
        widget = named[0].widget(field_name) if named else None
        if widget is None:
            return None
        return "" if widget.value is None or widget.value is MISSING else to_js_string(widget.value)


def _set_input(inputs: dict[str, Json], name: str, value: Value, widget: Widget) -> None:
    """Set an input of a node in the prompt. The value MISSING removes the input.

    A list is wrapped in an object, so that ComfyUI does not treat it as a link.
    """
    if value is MISSING:
        inputs.pop(name, None)
        return
    json_value = to_json(value)
    if isinstance(json_value, list):
        curve: dict[str, Json] = {"__type__": "CURVE"} if widget.kind == "CURVE" else {}
        json_value = {**curve, "__value__": json_value}
    inputs[name] = json_value
