"""Computes the outputs of nodes whose result is known before the prompt runs."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.json_value import Json
from worker.workflow.linked_values.rules import LONGEST, RULES, NodeInputs, NotKnownError, Rule, Value
from worker.workflow.prompt import Node, Prompt

Link = tuple[str, int]
"""Node id and number of the output slot."""
WRAPPED = "__value__"
"""Key that marks a list as a value. ComfyUI removes it in its validation, and may then treat the list as a link."""
MOST_INPUTS = 200
"""Maximum number of inputs of a node that is computed."""


def link_of(value: Json) -> Link | None:
    """Return a value as a link if ComfyUI may treat it as one, wrapped or not, else None.

    A slot that is NaN or too large becomes -1, which no node has.
    """
    while isinstance(value, dict) and WRAPPED in value:
        value = value[WRAPPED]
    match value:
        case [str(node_id), int(slot) | float(slot)]:
            return node_id, int(slot) if slot == slot and abs(slot) < LONGEST else -1  # noqa: PLR0124 - NaN
    return None


class LinkedValues:
    """The values that the links of a prompt carry. Each node is computed at most once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._outputs: dict[str, tuple[Value | None, ...]] = {}

    def value(self, link: Link) -> Value | None:
        """Return the value that a link carries, or None if it is not known before the run."""
        node_id, slot = link
        self._compute(node_id)
        outputs = self._outputs[node_id]
        return outputs[slot] if 0 <= slot < len(outputs) else None

    def _compute(self, target: str) -> None:
        """Compute a node and its sources. Uses no recursion, because a chain may have thousands of nodes."""
        waiting, opened = [target], set[str]()
        while waiting:
            node_id = waiting[-1]
            if node_id in self._outputs:
                waiting.pop()
            elif node_id in opened:
                # All sources are computed, except those that depend on this node in a cycle.
                self._outputs[node_id] = self._outputs_of(node_id)
            else:
                opened.add(node_id)
                waiting.extend(source for source in self._sources(node_id) if source not in opened)

    def _sources(self, node_id: str) -> Iterator[str]:
        """Yield the nodes that must be computed before this one."""
        node = self._prompt.get(node_id)
        if node is not None and _rule(node) is not None:
            links = map(link_of, node["inputs"].values())
            yield from (link[0] for link in links if link is not None and link[0] not in self._outputs)

    def _outputs_of(self, node_id: str) -> tuple[Value | None, ...]:
        """Return the outputs of a node whose sources are computed. None stands for an unknown output."""
        node = self._prompt.get(node_id)
        rule = _rule(node) if node is not None else None
        if node is None or rule is None:
            return ()
        inputs = NodeInputs({name: self._input(value) for name, value in node["inputs"].items()})
        try:
            return tuple(None if _is_long(value) else value for value in rule(inputs))
        except NotKnownError:
            return ()

    def _input(self, value: Json) -> Value | None:
        """Return the value of an input, or the value that its link carries, or None."""
        if (link := link_of(value)) is not None:
            outputs = self._outputs.get(link[0], ())
            return outputs[link[1]] if 0 <= link[1] < len(outputs) else None
        return value if isinstance(value, str | int | float) and not _is_long(value) else None


def _rule(node: Node) -> Rule | None:
    return RULES.get(node["class_type"]) if len(node["inputs"]) <= MOST_INPUTS else None


def _is_long(value: Json) -> bool:
    return isinstance(value, str) and len(value) > LONGEST
