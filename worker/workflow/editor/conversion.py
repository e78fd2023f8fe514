"""From the file to the prompt: load it, copy the primitives' values, open the subgraphs, write each node down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.errors import CannotConvert, Detail
from worker.prompt_changes import SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.provider import pack_id
from worker.workflow.editor.editor_graph import MISSING, MUTED, Value, Widget
from worker.workflow.editor.fields import ONLY_IN_A_BROWSER, RECORDED
from worker.workflow.editor.javascript import as_sent, as_text
from worker.workflow.editor.load import Loader
from worker.workflow.editor.packs.pack import ConversionContext, Sending
from worker.workflow.editor.packs.registry import LINK, SEND
from worker.workflow.editor.primitives import apply_primitives
from worker.workflow.editor.saved import read_workflow
from worker.workflow.editor.seeds import seed_fields
from worker.workflow.editor.subgraphs.flat import FlatGraph, FlatNode, FlatSource, detail_of
from worker.workflow.editor.subgraphs.groups import open_groups
from worker.workflow.editor.subgraphs.ids import number_apart
from worker.workflow.editor.text import SAVERS, draw, fill_in
from worker.workflow.json_value import Json
from worker.workflow.missing_class import listed_node_ids
from worker.workflow.prompt import Node, Prompt
from worker.workflow.validation.suggestion import missing_class_suggestion

MOST_TOLD = 50
MOST_SUGGESTED = 5  # to find the nearest of two thousand names takes a while


@dataclass(frozen=True, slots=True)
class Conversion:
    """The prompt, and by node what its reader should know; `left_out` are the muted and the bypassed.

    `seeds` are inputs that get a fresh seed whenever a job runs. In the prompt they have the saved value, or where that
    is only a sign for it, one that ComfyUI takes.
    """

    prompt: Prompt
    warnings: tuple[Detail, ...] = ()
    left_out: tuple[Detail, ...] = ()
    seeds: tuple[SeedField, ...] = ()


def convert(workflow: object, catalog: Catalog, surroundings: ConversionContext | None = None) -> Conversion:
    """The prompt that the editor would send for what it saved; ids, values and links are the editor's.

    Raises CannotConvert, naming each node that needs a browser, a class that the catalog hasn't got, or another file.
    """
    saved = read_workflow(workflow)
    number_apart(saved)
    open_groups(saved, catalog)
    loader = Loader(catalog)
    root = loader.load(saved)
    graphs = [root, *loader.subgraphs]
    apply_primitives(graphs)
    for link in LINK:
        link(graphs)
    flat = FlatGraph(root)
    running = [place for place in flat.places.values() if _runs(place)]
    _check(running, catalog)
    writer = _Writer(flat, surroundings or ConversionContext())
    prompt: Prompt = {place.id: writer.write(place) for place in running}
    left_out = tuple(
        detail_of(place, "muted" if place.node.mode == MUTED else "bypassed")
        for place in flat.places.values()
        if place.node.silent and place.node.browser is None
    )
    warnings = (*_warnings(flat.places.values()), *flat.warnings)
    seeds = _seeds(writer.seeds, running, prompt)
    return Conversion(_without_loose_ends(prompt), warnings, left_out, seeds)


def _seeds(drawn: list[SeedField], running: list[FlatNode], prompt: Prompt) -> tuple[SeedField, ...]:
    """The seeds that scripts of packs draw, and those of the editor's own fields."""
    known = {(seed.node_id, seed.input) for seed in drawn}
    return *drawn, *(seed for seed in seed_fields(running, prompt) if (seed.node_id, seed.input) not in known)


def _runs(place: FlatNode) -> bool:
    node = place.node
    return not node.silent and node.subgraph is None and node.browser is None


def _check(running: Iterable[FlatNode], catalog: Catalog) -> None:
    details: list[Detail] = []
    missing: dict[str, list[FlatNode]] = {}
    for place in running:
        node = place.node
        if node.node_class is None:
            missing.setdefault(node.type, []).append(place)
            continue
        drawn = next((widget for widget in node.widgets if widget.kind in ONLY_IN_A_BROWSER), None)
        if drawn is not None:
            reason = f"the value of {drawn.name!r} is made by the browser at the moment of queueing"
            details.append(detail_of(place, reason, drawn.name, "Export the workflow in API format."))
    details = [*_missing(missing, catalog), *details]
    if details:
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        first = details[0]
        raise CannotConvert(f"node {first.node_id} ({first.node_title}): {first.message}{more}", details[:MOST_TOLD])


def _missing(missing: Mapping[str, Sequence[FlatNode]], catalog: Catalog) -> Iterator[Detail]:
    """Yield one detail for each class that the catalog lacks, at its first node."""
    for number, (class_type, places) in enumerate(missing.items()):
        first = places[0]
        packs = (pack_id(place.node.properties) for place in places)
        pack = next(filter(None, packs), None)
        suggestion = missing_class_suggestion(class_type, catalog if number < MOST_SUGGESTED else None, pack)
        nodes = listed_node_ids([place.id for place in places])
        yield detail_of(first, f"the class {class_type!r} is not in the catalog{nodes}", None, suggestion)


def _warnings(places: Iterable[FlatNode]) -> Iterable[Detail]:
    for place in places:
        if place.node.silent:
            continue
        if any(widget.kind == RECORDED for widget in place.node.widgets):
            yield detail_of(place, "what it records in the browser is not in the file: nothing is sent")
        for warning in place.node.warnings:
            yield detail_of(place, warning.message, warning.input, warning.suggestion)


def _without_loose_ends(prompt: Prompt) -> Prompt:
    for node in prompt.values():
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not isinstance(value, list) or str(value[0]) in prompt
        }
    return prompt


class _Writer:
    def __init__(self, flat: FlatGraph, surroundings: ConversionContext) -> None:
        self._flat = flat
        self._around = surroundings
        self.seeds: list[SeedField] = []

    def write(self, place: FlatNode) -> Node:
        node = place.node
        assert node.node_class is not None  # noqa: S101 - checked before
        inputs: dict[str, Json] = {}
        for widget in node.widgets:
            if widget.sent and widget.name:
                _set(inputs, widget.name, self._value(place, widget), widget)
        for slot in node.inputs:
            if slot.link is None:
                continue
            source = self._flat.source(place, slot)
            if isinstance(source, FlatSource):
                inputs[slot.name] = [source.id, source.slot]
            elif source is not None:
                _set(inputs, slot.name, source.value, source)
        sending = Sending(place, inputs, self.seeds, self._around)
        for send in SEND:
            send(sending)
        title = node.title or node.node_class.display_name
        return {"class_type": node.type, "inputs": inputs, "_meta": {"title": title}}

    def _value(self, place: FlatNode, widget: Widget) -> Value:
        value = widget.value
        if isinstance(value, str):
            if widget.dynamic_text:
                return draw(value, self._around.rng)
            if widget.name == "filename_prefix" and place.node.type in SAVERS:
                return fill_in(value, self._field, self._around.now)
            return value
        return "" if value is None and widget.large_text else value

    def _field(self, name: str, field_name: str) -> str | None:
        """The text of a field of the first node of that name."""
        nodes = [place.node for place in self._flat.places.values()]
        named = [node for node in nodes if node.properties.get("Node name for S&R") == name]
        for node in named[:1] or [node for node in nodes if node.title == name][:1]:
            widget = node.widget(field_name)
            if widget is not None:
                return "" if widget.value is None or widget.value is MISSING else as_text(widget.value)
        return None


def _set(inputs: dict[str, Json], name: str, value: Value, widget: Widget) -> None:
    """Lists are wrapped, so that none is taken for a link; what is missing leaves no key."""
    if value is MISSING:
        inputs.pop(name, None)
        return
    sent = as_sent(value)
    if isinstance(sent, list):
        curve: dict[str, Json] = {"__type__": "CURVE"} if widget.kind == "CURVE" else {}
        sent = {**curve, "__value__": sent}
    inputs[name] = sent
