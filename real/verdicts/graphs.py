"""Small prompts for any class of a catalog: the node, the sources it needs, and a node that shows its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import AUTOGROW, COMBO, DYNAMIC_COMBO, InputSpec, NodeClass, Presence

VALUES: dict[str, Any] = {"WEBCAM": "example.png", "INT": 1, "FLOAT": 1.0, "STRING": "text", "BOOLEAN": True}
SHOWN_BY = ("PreviewAny", "source")
MAX_NODES = 24
ROUNDS = 6


@dataclass(slots=True)
class GraphBuilder:
    """Builds prompts from the classes of one catalog. The same catalog always gives the same prompts."""

    catalog: Catalog
    _providers: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For each type the class and output slot that make it with the fewest nodes."""

    def __post_init__(self) -> None:
        """Find the cheapest provider of each type. Each round finds providers that need one more node in a row."""
        costs: dict[str, int] = {}
        for _ in range(ROUNDS):
            for name in sorted(self.catalog):
                self._register_outputs(self.catalog[name], costs)

    def prompt(self, class_type: str) -> dict[str, Any] | None:
        """Return a prompt in which the node "1" has this class, or None when no node can show its output."""
        prompt: dict[str, Any] = {}
        node_class = self.catalog[class_type]
        self._add(class_type, prompt)
        if node_class.output_node:
            return prompt
        shown_by, name = SHOWN_BY
        if not node_class.outputs or shown_by not in self.catalog:
            return None
        prompt[str(len(prompt) + 1)] = {"class_type": shown_by, "inputs": {name: ["1", 0]}}
        return prompt

    def _register_outputs(self, node_class: NodeClass, costs: dict[str, int]) -> None:
        """Use a class as the provider of its output types, where it needs fewer nodes than the present provider."""
        linked_types = [spec.type for spec in _required_inputs(node_class, {}) if not _has_value(spec)]
        if any(kind not in costs for kind in linked_types):
            return
        cost = 1 + sum(costs[kind] for kind in linked_types)
        for slot, output in enumerate(node_class.outputs):
            for kind in output.type.split(",") if isinstance(output.type, str) else ():
                if cost < costs.get(kind, MAX_NODES):
                    costs[kind] = cost
                    self._providers[kind] = node_class.name, slot

    def _add(self, class_type: str, prompt: dict[str, Any]) -> str:
        """Add a node of the class, and the nodes that it needs, to the prompt. Return the node's id."""
        node_id = str(len(prompt) + 1)
        inputs: dict[str, Any] = {}
        prompt[node_id] = {"class_type": class_type, "inputs": inputs}
        node_class = self.catalog[class_type]
        for spec in node_class.inputs:
            if spec.type == DYNAMIC_COMBO and spec.presence is Presence.REQUIRED:
                inputs[spec.name] = _first_key(spec)
        for spec in _required_inputs(node_class, inputs):
            if spec.name in inputs:
                continue
            if _has_value(spec):
                inputs[spec.name] = _value(spec)
            elif (provider := self._provider(spec.type)) and len(prompt) < MAX_NODES:
                provider_class, slot = provider
                inputs[spec.name] = [self._add(provider_class, prompt), slot]
        return node_id

    def _provider(self, kind: str) -> tuple[str, int] | None:
        """Return the class and the output slot that make a type, or None."""
        if kind in ("*", "COMFY_MATCHTYPE_V3"):
            return "EmptyImage", 0
        return next((self._providers[name] for name in kind.split(",") if name in self._providers), None)


def _required_inputs(node_class: NodeClass, inputs: Mapping[str, Any]) -> Iterator[InputSpec]:
    """Yield the required inputs of a class, without dynamic ones."""
    for spec in expand(node_class, inputs).values():
        if spec.presence is Presence.REQUIRED and spec.type not in (DYNAMIC_COMBO, AUTOGROW):
            yield spec


def _has_value(spec: InputSpec) -> bool:
    """Return whether an input can have a value instead of a link."""
    return spec.type == COMBO or spec.type in VALUES or spec.default is not None


def _value(spec: InputSpec) -> Any:  # noqa: ANN401 - JSON
    """Return a valid value for an input: its default, its first option, or a constant of its type."""
    if spec.default is not None:
        return spec.default
    if spec.type == COMBO:
        return spec.options[0] if spec.options else "none"
    value = VALUES[spec.type]
    return max(value, spec.min) if spec.min is not None and not isinstance(value, str | bool) else value


def _first_key(spec: InputSpec) -> Any:  # noqa: ANN401 - JSON
    """Return the first option of a dynamic combo."""
    match spec.config[1].get("options"):
        case [{"key": key}, *_]:
            return key
    return None
