"""What is sent in a graph: a type, where it comes from, and which inputs it is meant for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from worker.workflow.editor.editor_graph import BYPASSED, INSIDE, REROUTE, Graph, Link, Slot, UiNode
from worker.workflow.editor.packs.use_everywhere.areas import Areas, restricted_to
from worker.workflow.editor.packs.use_everywhere.filters import Budget, NameFilter, read_filter
from worker.workflow.editor.packs.use_everywhere.settings import PROMPTS, SEED, is_sender, settings_of
from worker.workflow.json_value import JsonObject

_PRIORITY, _FOR_PROMPTS, _FILTERED, _IN_GROUP, _BY_COLOR = 10, 10, 20, 3, 6
_FILTERS = ("title_regex", "input_regex", "group_regex", "prompt_regex", "negative_regex")
MOST_REROUTES = 1000
_SIDES = ("positive", "negative")


class NameRule(IntEnum):
    """How an input is chosen where a node sends several of one type: by its name, or by the title of its node."""

    EXACT = 0
    START = 1
    END = 2
    TITLE = 3
    PATTERN = 4


@dataclass(frozen=True, slots=True)
class Target:
    """An input that may receive: `node_id` and `title` are of its node, or of the outputs of the subgraph."""

    node_id: str
    title: str
    name: str
    label: str
    type: str

    @property
    def shown(self) -> str:
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One thing that a node sends: from which output, of which type, under which name."""

    origin: str
    origin_slot: int
    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One thing that is sent, with all its restrictions."""

    sent: Outgoing
    priority: float
    titles: NameFilter | None
    inputs: NameFilter | None
    allowed: frozenset[str] | None
    rule: NameRule | None
    named: NameFilter | None
    to_any: bool

    def reaches(self, target: Target) -> bool:
        """Whether an input may receive this."""
        if self.sent.origin == target.node_id or not self._fits(target) or not self._is_named(target):
            return False
        if self.allowed is not None and target.node_id not in self.allowed:
            return False
        if self.titles is not None and not self.titles.takes(target.title):
            return False
        return self.inputs is None or self.inputs.takes(target.shown)

    def _fits(self, target: Target) -> bool:
        return self.sent.type == target.type or (self.to_any and target.type == "*")

    def _is_named(self, target: Target) -> bool:
        name, shown = self.sent.name, target.shown
        shorter = min(len(name), len(shown))
        match self.rule:
            case NameRule.EXACT:
                return name == shown
            case NameRule.START:
                return name[:shorter] == shown[:shorter]
            case NameRule.END:
                return name[len(name) - shorter :] == shown[len(shown) - shorter :]
            case NameRule.TITLE:
                return name == target.title
            case NameRule.PATTERN:
                return self.named is not None and self.named.takes(shown)
        return True


def broadcasts(graph: Graph, areas: Areas, budget: Budget) -> Iterator[Broadcast]:
    """What the nodes of a graph send, but for those that are muted or bypassed, and what comes from such nodes."""
    for node in graph.nodes.values():
        if not node.silent and (is_sender(node) or node.properties.get("ue_convert")):
            yield from _Sender(node, graph, areas, settings_of(node), budget).broadcasts()


@dataclass(frozen=True, slots=True)
class _Sender:
    """One node that sends."""

    node: UiNode
    graph: Graph
    areas: Areas
    settings: JsonObject
    budget: Budget

    def broadcasts(self) -> Iterator[Broadcast]:
        outgoing = list(_outgoing(self.node, self.graph, self.settings))
        times = Counter(one.type for one in outgoing)
        repeated = {kind for kind, count in times.items() if count > 1}
        priority = _priority(self.node, self.settings, bool(repeated))
        titles, inputs, groups = (self._filter(kind) for kind in ("title", "input", "group"))
        allowed = restricted_to(self.node, self.graph, self.areas, self.settings, groups)
        for one in (one for one in outgoing if _is_live(self.graph, one)):
            rule = self._rule(one.type in repeated)
            named = read_filter(one.name, False, self.budget) if rule is NameRule.PATTERN else None
            to_any = _is_on(self.settings, "send_to_any")
            yield Broadcast(one, priority, titles, inputs, allowed, rule, named, to_any)

    def _filter(self, kind: str) -> NameFilter | None:
        return read_filter(self.settings.get(f"{kind}_regex"), self.settings.get(f"{kind}_regex_invert"), self.budget)

    def _rule(self, repeated: bool) -> NameRule | None:
        if self.node.type == SEED or not (repeated or self.settings.get("apply_to_unrepeated")):
            return None
        rule = self.settings.get("repeated_type_rule") or NameRule.EXACT
        return NameRule(rule) if isinstance(rule, int) and rule in tuple(NameRule) else None


def _outgoing(node: UiNode, graph: Graph, settings: JsonObject) -> Iterator[Outgoing]:
    if node.type == SEED:
        yield Outgoing(node.id, 0, "INT")
    elif node.properties.get("ue_convert"):
        silent = settings.get("output_not_broadcasting")
        names = _output_names(node)
        for place, kind in enumerate(node.outputs):
            name = names[place] if place < len(names) else ""
            if not (isinstance(silent, dict) and silent.get(name)):
                yield Outgoing(node.id, place, kind, name)
    else:
        for place, slot in enumerate(node.inputs):
            link = graph.links.get(slot.link) if slot.link is not None else None
            if link is not None:
                source = _behind_bypassed(graph, link) or link
                yield Outgoing(source.origin, source.origin_slot, type_of(graph, source), _name(node, slot, place))


def type_of(graph: Graph, link: Link) -> str:
    """The type of a link; one behind a reroute may have none of its own."""
    found: Link | None = link
    for _ in range(MOST_REROUTES):
        node = graph.nodes.get(found.origin) if found else None
        if found is None or found.type != "*" or node is None:
            break
        if node.type != REROUTE:
            return node.outputs[found.origin_slot] if 0 <= found.origin_slot < len(node.outputs) else "*"
        slot = node.inputs[0].link if node.inputs else None
        found = graph.links.get(slot) if slot is not None else None
    return found.type if found else "*"


def _output_names(node: UiNode) -> list[str]:
    return [output.name for output in node.node_class.outputs] if node.node_class else []


def _name(node: UiNode, slot: Slot, place: int) -> str:
    if node.type == PROMPTS and place < len(_SIDES):
        return _SIDES[place]
    return slot.label or slot.name


def _behind_bypassed(graph: Graph, link: Link) -> Link | None:
    """The link that a bypassed node hands on, by its type; None where it hands on none."""
    seen: set[int] = set()
    kind, found = link.type, link
    while found.origin != INSIDE and found.id not in seen:
        seen.add(found.id)
        parent = graph.nodes.get(found.origin)
        if parent is None or parent.mode != BYPASSED:
            return found if parent else None
        slots = parent.inputs
        same = found.origin_slot if 0 <= found.origin_slot < len(slots) else 0
        fitting = [slot for slot in (*slots[same : same + 1], *slots) if slot.type == kind]
        further = graph.links.get(fitting[0].link) if fitting and fitting[0].link is not None else None
        if further is None:
            return None
        found = further
    return found


def _is_live(graph: Graph, sent: Outgoing) -> bool:
    if sent.origin == INSIDE:
        return True
    node = graph.nodes.get(sent.origin)
    return node is not None and not node.silent


def _priority(node: UiNode, settings: JsonObject, repeated: bool) -> float:
    own = settings.get("priority")
    if isinstance(own, int | float) and own:
        return float(own)
    filtered = any(isinstance(settings.get(name), str) and settings.get(name) for name in _FILTERS)
    return float(
        _PRIORITY
        + _FOR_PROMPTS * (node.type == PROMPTS)
        + _FILTERED * (filtered or repeated)
        + _IN_GROUP * _is_on(settings, "group_restricted")
        + _BY_COLOR * _is_on(settings, "color_restricted")
    )


def _is_on(settings: JsonObject, name: str) -> bool:
    value = settings.get(name)
    return isinstance(value, int | float) and value > 0
