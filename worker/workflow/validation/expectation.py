"""Describes in a few words which values an input accepts."""

from __future__ import annotations

from worker.workflow.catalog.node_class import COMBO, InputSpec
from worker.workflow.json_value import Json
from worker.workflow.validation.validation_error import ErrorSubject

MOST_CHOICES = 8


def expected(subject: ErrorSubject) -> str | None:
    """Return the values that the input of an error accepts, such as "INT from 1 to 10" or "one of 'a', 'b'".

    Return None if neither the catalog nor the error describes the input.
    """
    declared, reported = subject.spec, subject.reported_spec
    if subject.validation_error.kind == "bad_linked_input":
        return "a link: [node id, output slot]"
    if declared is not None and declared.folders:
        return " or ".join(_folder(folder) for folder in declared.folders)
    # The choices in the error are newer than those in the catalog.
    reports_choices = reported is not None and bool(reported.options)
    spec = reported if reports_choices else declared or reported
    return _description(spec) if spec is not None else None


def _description(spec: InputSpec) -> str:
    """Return the type of an input with its limits, or its choices."""
    if spec.type == COMBO:
        return _choices(spec.options or ())
    low = f" from {spec.min}" if _is_readable(spec.min) else ""
    high = f" to {spec.max}" if _is_readable(spec.max) else ""
    return f"{spec.type}{low}{high}"


def _is_readable(limit: float | None) -> bool:
    """Return whether a limit is worth showing. A limit such as 18446744073709551615 is not helpful."""
    return limit is not None and abs(limit) < 1e9


def _choices(options: tuple[Json, ...]) -> str:
    """Return the first choices as text, with the number of all choices if some are left out."""
    shown = ", ".join(repr(option) for option in options[:MOST_CHOICES])
    more = f", ... ({len(options)} in all)" if len(options) > MOST_CHOICES else ""
    return f"one of {shown}{more}" if options else "no choice exists"


def _folder(folder: str) -> str:
    """Return the description of a file in a folder: "input", or a model folder."""
    return "an input file" if folder == "input" else f"a file in models/{folder}"
