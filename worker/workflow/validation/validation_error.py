"""Parses ComfyUI's validation errors. Accepts malformed entries, because any version of ComfyUI may send them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec, Presence, read_input
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class ValidationError:
    """One entry of the `errors` of a node. Fields that are missing or have another type are empty."""

    kind: str
    message: str
    details: str
    extra: Mapping[str, object]

    @classmethod
    def read(cls, error: Mapping[str, object]) -> ValidationError:
        """Return one entry of the `errors` of a node, parsed. Never raises."""
        extra = error.get("extra_info")
        return cls(
            kind=_text(error, "type"),
            message=_text(error, "message"),
            details=_text(error, "details"),
            extra=extra if isinstance(extra, dict) else {},
        )

    @property
    def input_name(self) -> str | None:
        """The input that the error names, or None."""
        name = self.extra.get("input_name")
        return name if isinstance(name, str) else None

    @property
    def text(self) -> str:
        """The message with its details, or the kind of an error without a message."""
        return f"{self.message}: {self.details}" if self.details else self.message or self.kind


def _text(error: Mapping[str, object], key: str) -> str:
    """Return a field that is a text, else an empty text."""
    value = error.get(key)
    return value if isinstance(value, str) else ""


def validation_errors(node_errors: Mapping[str, object]) -> Iterator[tuple[str, ValidationError]]:
    """Yield (node id, error) for every error in `node_errors`, a part of ComfyUI's response. Skip malformed entries."""
    for node_id, entry in node_errors.items():
        errors = entry.get("errors") if isinstance(entry, dict) else None
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict):
                yield node_id, ValidationError.read(error)


@dataclass(frozen=True, slots=True)
class ErrorSubject:
    """A validation error together with its node, prompt and catalog. The catalog may be unknown."""

    validation_error: ValidationError
    node_id: str
    prompt: Prompt
    catalog: Catalog | None

    @property
    def value(self) -> object:
        """The value that ComfyUI received according to the error, else the value in the prompt, or None."""
        node, name = self.prompt.get(self.node_id), self.validation_error.input_name
        sent_value = node["inputs"].get(name) if node and name else None
        return self.validation_error.extra.get("received_value", sent_value)

    @property
    def spec(self) -> InputSpec | None:
        """The input of the error as the catalog describes it, or None if the error or the catalog has no input."""
        node, name = self.prompt.get(self.node_id), self.validation_error.input_name
        if self.catalog is None or node is None or name is None or node["class_type"] not in self.catalog:
            return None
        return self.catalog[node["class_type"]].by_name.get(name) or self._declared_inputs().get(name)

    @property
    def reported_spec(self) -> InputSpec | None:
        """The input as the error describes it, else as the catalog does, or None. Errors omit more than 20 choices."""
        config, name = self.validation_error.extra.get("input_config"), self.validation_error.input_name
        if isinstance(config, list) and name is not None:
            return read_input(name, Presence.REQUIRED, config)
        return self.spec

    @property
    def unknown_inputs(self) -> list[str]:
        """Names of inputs that the node has but its class does not declare."""
        node = self.prompt.get(self.node_id)
        if self.catalog is None or node is None or node["class_type"] not in self.catalog:
            return []
        declared = self._declared_inputs()
        return [name for name in node["inputs"] if name not in declared]

    def _declared_inputs(self) -> Mapping[str, InputSpec]:
        """Return the inputs that the class declares for a node with these values, by name. Empty without a catalog."""
        node = self.prompt[self.node_id]
        if self.catalog is None:
            return {}
        return expand(self.catalog[node["class_type"]], node["inputs"])
