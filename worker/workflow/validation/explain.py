"""Turns ComfyUI's validation errors into problems that the author of a workflow can fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, title
from worker.workflow.validation.expectation import expected
from worker.workflow.validation.suggestion import BROKEN_LINK_KINDS, broken_link, missing_class_suggestion, suggestion
from worker.workflow.validation.validation_error import ErrorSubject, ValidationError, validation_errors

MOST_SUGGESTIONS = 50  # a search for a similar name takes milliseconds in a long list


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a workflow: where it is, what was expected, and how to fix it.

    `kind` is ComfyUI's type of the error. `comfyui_type` is the same if ComfyUI itself would report the error, and None
    if it stops at another error first or does not check this at all. `file` is set for a model file whose name is only
    a part of the value.
    """

    node_id: str | None
    node_title: str | None
    class_type: str | None
    input: str | None
    message: str
    suggestion: str | None
    comfyui_type: str | None
    expected: str | None = None
    kind: str = ""
    file: str | None = None


def explain(
    error: Mapping[str, object] | None,
    node_errors: Mapping[str, object],
    prompt: Prompt,
    catalog: Catalog | None = None,
) -> tuple[Problem, ...]:
    """Return the problems in a response of `POST /prompt`, from its `error` and its `node_errors`.

    Skips missing and malformed fields. Never raises. Returns at least one problem if `error` is not None.
    """
    problems: list[Problem] = []
    for node_id, validation_error in validation_errors(node_errors):
        subject = ErrorSubject(validation_error, node_id, prompt, catalog)
        with_suggestion = len(problems) < MOST_SUGGESTIONS
        problems.append(_node_problem(subject, suggestion(subject) if with_suggestion else None))
    if not problems and error is not None:
        problems.append(_prompt_problem(ValidationError.read(error), prompt, catalog))
    return tuple(problems)


def _node_problem(subject: ErrorSubject, suggested: str | None) -> Problem:
    """Return the problem for an error of a node. `suggested` says how to fix it, or is None."""
    node, validation_error = subject.prompt.get(subject.node_id), subject.validation_error
    name, expectation = validation_error.input_name, expected(subject)
    if validation_error.kind in BROKEN_LINK_KINDS:  # the error names another input than the one with the broken link
        link = broken_link(subject)
        name = link.input if link else None
        expectation = None
    return Problem(
        node_id=subject.node_id,
        node_title=title(subject.prompt, subject.node_id) if node else None,
        class_type=node["class_type"] if node else None,
        input=name,
        message=validation_error.text,
        suggestion=suggested,
        comfyui_type=validation_error.kind,
        expected=expectation,
        kind=validation_error.kind,
    )


def _prompt_problem(validation_error: ValidationError, prompt: Prompt, catalog: Catalog | None) -> Problem:
    """Return the problem for an error of the whole prompt, such as a missing class. It may still name a node."""
    node_id, class_type = validation_error.extra.get("node_id"), validation_error.extra.get("class_type")
    suggested = missing_class_suggestion(class_type, catalog) if isinstance(class_type, str) else None
    if validation_error.kind == "prompt_no_outputs":
        suggested = "Add a node that saves or previews something, such as SaveImage."
    if isinstance(node_id, str):
        return _node_problem(ErrorSubject(validation_error, node_id, prompt, catalog), suggested)
    return Problem(
        node_id=None,
        node_title=None,
        class_type=None,
        input=validation_error.input_name,
        message=validation_error.text,
        suggestion=suggested,
        comfyui_type=validation_error.kind,
        kind=validation_error.kind,
    )
