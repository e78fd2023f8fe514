"""One entry of ComfyUI's validation errors, read leniently: the JSON is an engine's, of any version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec, Presence, read_input
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class ValidationError:
    """Fields that are missing or of another type are empty."""

    kind: str
    message: str
    details: str
    extra: Mapping[str, object]

    @classmethod
    def read(cls, error: Mapping[str, object]) -> ValidationError:
        extra = error.get("extra_info")
        kind, message, details = (
            value if isinstance(value := error.get(key), str) else "" for key in ("type", "message", "details")
        )
        return cls(kind, message, details, extra if isinstance(extra, dict) else {})

    @property
    def input_name(self) -> str | None:
        name = self.extra.get("input_name")
        return name if isinstance(name, str) else None

    @property
    def text(self) -> str:
        return f"{self.message}: {self.details}" if self.details else self.message or self.kind


def validation_errors(node_errors: Mapping[str, object]) -> Iterator[tuple[str, ValidationError]]:
    """Yield (node id, complaint) for every error of every node."""
    for node_id, entry in node_errors.items():
        errors = entry.get("errors") if isinstance(entry, dict) else None
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict):
                yield node_id, ValidationError.read(error)


@dataclass(frozen=True, slots=True)
class ErrorSubject:
    """What a complaint is about: a node of a prompt, seen through a catalog if there is one."""

    validation_error: ValidationError
    node_id: str
    prompt: Prompt
    catalog: Catalog | None

    @property
    def value(self) -> object:
        node, name = self.prompt.get(self.node_id), self.validation_error.input_name
        given = node["inputs"].get(name) if node and name else None
        return self.validation_error.extra.get("received_value", given)

    @property
    def spec(self) -> InputSpec | None:
        """The input as the catalog has it."""
        node, name = self.prompt.get(self.node_id), self.validation_error.input_name
        if self.catalog is None or node is None or name is None or node["class_type"] not in self.catalog:
            return None
        return self.catalog[node["class_type"]].by_name.get(name) or self._expanded().get(name)

    @property
    def reported_spec(self) -> InputSpec | None:
        """The input as ComfyUI wrote it into its error; above 20 choices it writes none, and the catalog has them."""
        config, name = self.validation_error.extra.get("input_config"), self.validation_error.input_name
        if isinstance(config, list) and name is not None:
            return read_input(name, Presence.REQUIRED, config)
        return self.spec

    @property
    def unknown_inputs(self) -> list[str]:
        """Names that the node gives and its class does not know."""
        node = self.prompt.get(self.node_id)
        if self.catalog is None or node is None or node["class_type"] not in self.catalog:
            return []
        known = self._expanded()
        return [name for name in node["inputs"] if name not in known]

    def _expanded(self) -> Mapping[str, InputSpec]:
        node = self.prompt[self.node_id]
        return expand(self.catalog[node["class_type"]], node["inputs"]) if self.catalog is not None else {}
