"""What an input would have taken, in a few words: for whoever wrote something else."""

from __future__ import annotations

from worker.workflow.catalog.node_class import COMBO, InputSpec
from worker.workflow.json_value import Json
from worker.workflow.validation.validation_error import ErrorSubject

MOST_CHOICES = 8


def expected(subject: ErrorSubject) -> str | None:
    """Describe the input that a complaint is about; None where neither catalog nor complaint knows it."""
    known, told = subject.spec, subject.reported_spec
    if subject.validation_error.kind == "bad_linked_input":
        return "a link: [node id, output slot]"
    if known is not None and known.folders:
        return " or ".join(_folder(folder) for folder in known.folders)
    spec = told if told is not None and told.options else known or told
    return _described(spec) if spec is not None else None


def _described(spec: InputSpec) -> str:
    if spec.type == COMBO:
        return _choices(spec.options or ())
    low = f" from {spec.min}" if _sayable(spec.min) else ""
    high = f" to {spec.max}" if _sayable(spec.max) else ""
    return f"{spec.type}{low}{high}"


def _sayable(limit: float | None) -> bool:
    """Limits such as 18446744073709551615 say nothing to a person."""
    return limit is not None and abs(limit) < 1e9


def _choices(options: tuple[Json, ...]) -> str:
    shown = ", ".join(repr(option) for option in options[:MOST_CHOICES])
    more = f", ... ({len(options)} in all)" if len(options) > MOST_CHOICES else ""
    return f"one of {shown}{more}" if options else "one of none"


def _folder(folder: str) -> str:
    return "an input file" if folder == "input" else f"a file in models/{folder}"
