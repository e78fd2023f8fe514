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
from worker.workflow.editor.subgraphs.flat import FlatGraph, FlatNode, FlatSource, node_detail
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
    for add_links in ADD_LINKS:
        add_links(graphs)
    flat = FlatGraph(root)
    flat_nodes = flat.nodes.values()
    running = [flat_node for flat_node in flat_nodes if _runs(flat_node.node)]
    _check(running, catalog)
    writer = _Writer(flat, context or ConversionContext())
    prompt: Prompt = {flat_node.id: writer.write(flat_node) for flat_node in running}
    left_out = tuple(
        node_detail(flat_node, "muted" if flat_node.node.mode == MUTED else "bypassed")
        for flat_node in flat_nodes
        if flat_node.node.is_disabled and flat_node.node.browser is None
    )
    warnings = (*_warnings(flat_nodes), *flat.warnings)
    seeds = _all_seeds(writer.seeds, running, prompt)
    return Conversion(_without_dangling_links(prompt), warnings, left_out, seeds)


def _all_seeds(pack_seeds: list[SeedField], running: list[FlatNode], prompt: Prompt) -> tuple[SeedField, ...]:
    """Return the seeds that the scripts of packs draw, then those of the editor's own fields, each input once."""
    from_packs = {(seed.node_id, seed.input) for seed in pack_seeds}
    from_fields = (seed for seed in seed_fields(running, prompt) if (seed.node_id, seed.input) not in from_packs)
    return *pack_seeds, *from_fields


def _runs(node: UiNode) -> bool:
    """Return whether a node is part of the prompt."""
    return not node.is_disabled and node.subgraph is None and node.browser is None


def _check(running: Iterable[FlatNode], catalog: Catalog) -> None:
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
    """Yield one detail for each class that the catalog lacks, at the first node of that class."""
    for number, (class_type, flat_nodes) in enumerate(missing.items()):
        packs = (pack_id(flat_node.node.properties) for flat_node in flat_nodes)
        pack = next(filter(None, packs), None)
        suggestion = missing_class_suggestion(class_type, catalog if number < MAX_SUGGESTIONS else None, pack)
        nodes = listed_node_ids([flat_node.id for flat_node in flat_nodes])
        yield node_detail(flat_nodes[0], f"the class {class_type!r} is not in the catalog{nodes}", None, suggestion)


def _warnings(flat_nodes: Iterable[FlatNode]) -> Iterator[Detail]:
    """Yield the warnings of the nodes that are not disabled."""
    for flat_node in flat_nodes:
        if flat_node.node.is_disabled:
            continue
        if any(widget.kind == RECORDED for widget in flat_node.node.widgets):
            yield node_detail(flat_node, "a recording made in the browser is not in the file: nothing is sent")
        for warning in flat_node.node.warnings:
            yield node_detail(flat_node, warning.message, warning.input, warning.suggestion)


def _without_dangling_links(prompt: Prompt) -> Prompt:
    """Remove links to nodes that are not in the prompt, in place."""
    for node in prompt.values():
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not isinstance(value, list) or str(value[0]) in prompt
        }
    return prompt


class _Writer:
    """Writes the nodes of a flat graph into the prompt and collects the seeds that packs draw."""

    def __init__(self, flat: FlatGraph, context: ConversionContext) -> None:
        self._flat = flat
        self._context = context
        self.seeds: list[SeedField] = []

    def write(self, flat_node: FlatNode) -> Node:
        """Return one node of the prompt: its fields, then its links, then the changes of the packs."""
        node = flat_node.node
        assert node.node_class is not None  # noqa: S101 - checked before
        inputs: dict[str, Json] = {}
        for widget in node.widgets:
            if widget.is_sent and widget.name:
                _set(inputs, widget.name, self._value(flat_node, widget), widget)
        for slot in node.inputs:
            if slot.link is None:
                continue
            source = self._flat.source_of(flat_node, slot)
            if isinstance(source, FlatSource):
                inputs[slot.name] = [source.id, source.slot]
            elif source is not None:
                _set(inputs, slot.name, source.value, source)
        outgoing = OutgoingNode(flat_node, inputs, self.seeds, self._context)
        for change_inputs in CHANGE_INPUTS:
            change_inputs(outgoing)
        title = node.title or node.node_class.display_name
        return {"class_type": node.type, "inputs": inputs, "_meta": {"title": title}}

    def _value(self, flat_node: FlatNode, widget: Widget) -> Value:
        """Return the value of a field with its choices `{a|b}` drawn and its `%placeholders%` filled in."""
        value = widget.value
        if isinstance(value, str):
            if widget.has_choices:
                return expand_choices(value, self._context.rng)
            if widget.name == "filename_prefix" and flat_node.node.type in SAVERS:
                return fill_placeholders(value, self._field_text, self._context.now)
            return value
        return "" if value is None and widget.is_multiline else value

    def _field_text(self, node_name: str, field_name: str) -> str | None:
        """Return a field of the first node with that name, as text. A node's S&R name comes before its title."""
        nodes = [flat_node.node for flat_node in self._flat.nodes.values()]
        named = [node for node in nodes if node.properties.get("Node name for S&R") == node_name]
        for node in named[:1] or [node for node in nodes if node.title == node_name][:1]:
            widget = node.widget(field_name)
            if widget is not None:
                return "" if widget.value is None or widget.value is MISSING else to_js_string(widget.value)
        return None


def _set(inputs: dict[str, Json], name: str, value: Value, widget: Widget) -> None:
    """Set an input. A list is wrapped, so that ComfyUI does not read it as a link; MISSING removes the key."""
    if value is MISSING:
        inputs.pop(name, None)
        return
    json_value = to_json(value)
    if isinstance(json_value, list):
        curve: dict[str, Json] = {"__type__": "CURVE"} if widget.kind == "CURVE" else {}
        json_value = {**curve, "__value__": json_value}
    inputs[name] = json_value
