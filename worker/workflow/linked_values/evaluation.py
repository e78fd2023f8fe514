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
    """Return the link that ComfyUI may read in a value, or None if the value is no link.

    A wrapped list counts, because ComfyUI removes the wrapper. A slot that is NaN or too large becomes -1, which no
    node has.
    """
    while isinstance(value, dict) and WRAPPED in value:
        value = value[WRAPPED]
    match value:
        case [str(node_id), int(slot) | float(slot)]:
            return node_id, int(slot) if abs(slot) < LONGEST else -1  # the comparison is false for NaN
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
        """Compute the outputs of a node, and before them those of the nodes that it depends on.

        Uses a stack and no recursion, because a chain may have thousands of nodes.
        """
        stack, visited = [target], set[str]()
        while stack:
            node_id = stack[-1]
            if node_id in self._outputs:
                stack.pop()
            elif node_id in visited:
                # All its sources are computed now, except those that depend on this node in a cycle.
                self._outputs[node_id] = self._outputs_of(node_id)
            else:
                visited.add(node_id)
                stack.extend(source for source in self._sources(node_id) if source not in visited)

    def _sources(self, node_id: str) -> Iterator[str]:
        """Yield the nodes that must be computed before this one. There are none for a node without a rule."""
        node = self._prompt.get(node_id)
        if node is None or _rule(node) is None:
            return
        for value in node["inputs"].values():
            link = link_of(value)
            if link is not None and link[0] not in self._outputs:
                yield link[0]

    def _outputs_of(self, node_id: str) -> tuple[Value | None, ...]:
        """Return the outputs of a node whose sources are computed. None stands for an output that is not known.

        The result is empty if the node does not exist, has no rule, or needs a value that is not known.
        """
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
        """Return the value of an input, or the computed value that its link carries.

        Return None if it is not known, is no text, number or boolean, or is too long.
        """
        link = link_of(value)
        if link is not None:
            node_id, slot = link
            outputs = self._outputs.get(node_id, ())
            return outputs[slot] if 0 <= slot < len(outputs) else None
        return value if isinstance(value, str | int | float) and not _is_long(value) else None


def _rule(node: Node) -> Rule | None:
    """Return the rule that computes the outputs of a node, or None for other classes and for too many inputs."""
    return RULES.get(node["class_type"]) if len(node["inputs"]) <= MOST_INPUTS else None


def _is_long(value: Json) -> bool:
    """Return whether a value is a text that is too long to be a path."""
    return isinstance(value, str) and len(value) > LONGEST
