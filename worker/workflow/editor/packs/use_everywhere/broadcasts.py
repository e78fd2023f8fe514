"""Broadcasts of a graph: the outputs that senders broadcast, and the inputs that may receive each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from worker.workflow.editor.editor_graph import BYPASSED, INSIDE, REROUTE, Graph, Link, Slot, UiNode
from worker.workflow.editor.packs.use_everywhere.filters import FilterBudget, NameFilter, read_filter
from worker.workflow.editor.packs.use_everywhere.groups import NodeGroups, allowed_nodes
from worker.workflow.editor.packs.use_everywhere.settings import PROMPTS, SEED, is_sender, settings_of
from worker.workflow.json_value import JsonObject

_BASE_PRIORITY, _PROMPTS_BONUS, _FILTER_BONUS, _GROUP_BONUS, _COLOR_BONUS = 10, 10, 20, 3, 6
_FILTERS = ("title_regex", "input_regex", "group_regex", "prompt_regex", "negative_regex")
MAX_REROUTES = 1000
_PROMPT_NAMES = ("positive", "negative")


class NameRule(IntEnum):
    """The rule by which an input is chosen if a node sends several values of one type.

    It compares the sent name with the name of the input, or with the title of its node.
    """

    EXACT = 0
    START = 1
    END = 2
    TITLE = 3
    PATTERN = 4


@dataclass(frozen=True, slots=True)
class BroadcastTarget:
    """An input that may receive a broadcast. `node_id` and `title` belong to its node or to the subgraph's outputs."""

    node_id: str
    title: str
    name: str
    label: str
    type: str

    @property
    def shown_name(self) -> str:
        """The name that the editor shows."""
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class BroadcastSource:
    """One value that a node sends: its output, its type and its name."""

    origin: str
    origin_slot: int
    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One value that a node sends, with all restrictions on the inputs that receive it."""

    source: BroadcastSource
    priority: float
    title_filter: NameFilter | None
    input_filter: NameFilter | None
    allowed: frozenset[str] | None
    rule: NameRule | None
    name_pattern: NameFilter | None
    sends_to_any: bool

    def reaches(self, target: BroadcastTarget) -> bool:
        """Return whether an input may receive this broadcast.

        Its type and name must match, and it must satisfy all filters and restrictions of the sender. A node sends
        nothing to itself.
        """
        if self.source.origin == target.node_id or not self._type_matches(target) or not self._name_matches(target):
            return False
        if self.allowed is not None and target.node_id not in self.allowed:
            return False
        if self.title_filter is not None and not self.title_filter.accepts(target.title):
            return False
        return self.input_filter is None or self.input_filter.accepts(target.shown_name)

    def _type_matches(self, target: BroadcastTarget) -> bool:
        """Return whether the types of source and input are equal, or the input takes any type and may receive it."""
        return self.source.type == target.type or (self.sends_to_any and target.type == "*")

    def _name_matches(self, target: BroadcastTarget) -> bool:
        """Return whether the input satisfies the name rule of the broadcast. Without a rule every name matches.

        START and END compare as many characters as the shorter name has.
        """
        name, shown = self.source.name, target.shown_name
        shared = min(len(name), len(shown))
        match self.rule:
            case NameRule.EXACT:
                return name == shown
            case NameRule.START:
                return name[:shared] == shown[:shared]
            case NameRule.END:
                return name[len(name) - shared :] == shown[len(shown) - shared :]
            case NameRule.TITLE:
                return name == target.title
            case NameRule.PATTERN:
                return self.name_pattern is not None and self.name_pattern.accepts(shown)
        return True


def broadcasts(graph: Graph, groups: NodeGroups, budget: FilterBudget) -> Iterator[Broadcast]:
    """Yield the values that the nodes of a graph send to the inputs of other nodes.

    Disabled nodes send nothing, and values that come from a disabled node are not sent. `ue_convert` marks nodes of
    other packs that the user made senders.
    """
    for node in graph.nodes.values():
        if not node.is_disabled and (is_sender(node) or node.properties.get("ue_convert")):
            yield from _BroadcastSender(node, graph, groups, settings_of(node), budget).broadcasts()


@dataclass(frozen=True, slots=True)
class _BroadcastSender:
    """One node that sends, with its settings."""

    node: UiNode
    graph: Graph
    groups: NodeGroups
    settings: JsonObject
    budget: FilterBudget

    def broadcasts(self) -> Iterator[Broadcast]:
        """Yield the broadcasts of this node: one for each value that comes from a node which is not disabled."""
        sources = list(_sources(self.node, self.graph, self.settings))
        counts = Counter(source.type for source in sources)
        repeated = {kind for kind, count in counts.items() if count > 1}
        priority = _priority(self.node, self.settings, bool(repeated))
        title_filter, input_filter, group_filter = (self._filter(kind) for kind in ("title", "input", "group"))
        allowed = allowed_nodes(self.node, self.graph, self.groups, self.settings, group_filter)
        sends_to_any = _is_on(self.settings, "send_to_any")
        for source in sources:
            if not _is_active(self.graph, source):
                continue
            rule = self._rule(source.type in repeated)
            pattern = read_filter(source.name, False, self.budget) if rule is NameRule.PATTERN else None
            yield Broadcast(source, priority, title_filter, input_filter, allowed, rule, pattern, sends_to_any)

    def _filter(self, kind: str) -> NameFilter | None:
        """Return the node's filter for titles, inputs or groups, or None if it has none.

        `kind` is "title", "input" or "group". Raises CannotConvert if the filter is too complex.
        """
        return read_filter(self.settings.get(f"{kind}_regex"), self.settings.get(f"{kind}_regex_invert"), self.budget)

    def _rule(self, is_repeated: bool) -> NameRule | None:
        """Return the rule by which names are compared, or None if names do not count.

        Names count if the node sends several values of the same type, or if the user has set that they always count.
        """
        if self.node.type == SEED or not (is_repeated or self.settings.get("apply_to_unrepeated")):
            return None
        rule = self.settings.get("repeated_type_rule") or NameRule.EXACT
        return NameRule(rule) if isinstance(rule, int) and rule in tuple(NameRule) else None


def _sources(node: UiNode, graph: Graph, settings: JsonObject) -> Iterator[BroadcastSource]:
    """Yield the values that a node sends: its seed, its own outputs, or the outputs that are linked into it.

    Its own outputs are sent if the user made the node a sender (`ue_convert`), except for those that the user excluded.
    """
    if node.type == SEED:
        yield BroadcastSource(node.id, 0, "INT")
    elif node.properties.get("ue_convert"):
        excluded = settings.get("output_not_broadcasting")
        names = _output_names(node)
        for index, kind in enumerate(node.outputs):
            name = names[index] if index < len(names) else ""
            if not (isinstance(excluded, dict) and excluded.get(name)):
                yield BroadcastSource(node.id, index, kind, name)
    else:
        for index, slot in enumerate(node.inputs):
            link = graph.links.get(slot.link) if slot.link is not None else None
            if link is not None:
                link = _behind_bypassed(graph, link) or link
                name = _sent_name(node, slot, index)
                yield BroadcastSource(link.origin, link.origin_slot, link_type(graph, link), name)


def link_type(graph: Graph, link: Link) -> str:
    """Return the type of the value that a link carries.

    A link of the type `*` gets the type of the output that feeds it, which is searched behind up to MAX_REROUTES
    reroutes. The type stays `*` if there is none.
    """
    current: Link | None = link
    for _ in range(MAX_REROUTES):
        node = graph.nodes.get(current.origin) if current else None
        if current is None or current.type != "*" or node is None:
            break
        if node.type != REROUTE:
            return node.outputs[current.origin_slot] if 0 <= current.origin_slot < len(node.outputs) else "*"
        link_id = node.inputs[0].link if node.inputs else None
        current = graph.links.get(link_id) if link_id is not None else None
    return current.type if current else "*"


def _output_names(node: UiNode) -> list[str]:
    """Return the names of the outputs of a node's class."""
    return [output.name for output in node.node_class.outputs] if node.node_class else []


def _sent_name(node: UiNode, slot: Slot, index: int) -> str:
    """Return the name under which the value of a sender's input is sent.

    The first two inputs of a prompt sender are sent as "positive" and "negative".
    """
    if node.type == PROMPTS and index < len(_PROMPT_NAMES):
        return _PROMPT_NAMES[index]
    return slot.label or slot.name


def _behind_bypassed(graph: Graph, link: Link) -> Link | None:
    """Return the first link before `link` that does not come from a bypassed node, or None if there is none.

    A bypassed node passes on an input of the link's type: the one with the index of the output, else the first.
    """
    visited: set[int] = set()
    kind, current = link.type, link
    while current.origin != INSIDE and current.id not in visited:
        visited.add(current.id)
        origin = graph.nodes.get(current.origin)
        if origin is None:
            return None
        if origin.mode != BYPASSED:
            return current
        slots = origin.inputs
        same_index = current.origin_slot if 0 <= current.origin_slot < len(slots) else 0
        fitting = [slot for slot in (*slots[same_index : same_index + 1], *slots) if slot.type == kind]
        next_link = graph.links.get(fitting[0].link) if fitting and fitting[0].link is not None else None
        if next_link is None:
            return None
        current = next_link
    return current


def _is_active(graph: Graph, source: BroadcastSource) -> bool:
    """Return whether the node that supplies a value runs. The inputs of a subgraph always count as active."""
    if source.origin == INSIDE:
        return True
    node = graph.nodes.get(source.origin)
    return node is not None and not node.is_disabled


def _priority(node: UiNode, settings: JsonObject, has_repeated_types: bool) -> float:
    """Return the priority of a sender: the one that the user set, or one that grows with its restrictions.

    The numbers are those of the pack's script.
    """
    own = settings.get("priority")
    if isinstance(own, int | float) and own:
        return float(own)
    has_filter = any(isinstance(settings.get(name), str) and settings.get(name) for name in _FILTERS)
    return float(
        _BASE_PRIORITY
        + _PROMPTS_BONUS * (node.type == PROMPTS)
        + _FILTER_BONUS * (has_filter or has_repeated_types)
        + _GROUP_BONUS * _is_on(settings, "group_restricted")
        + _COLOR_BONUS * _is_on(settings, "color_restricted")
    )


def _is_on(settings: JsonObject, name: str) -> bool:
    """Return whether a setting is a number above 0."""
    value = settings.get(name)
    return isinstance(value, int | float) and value > 0
