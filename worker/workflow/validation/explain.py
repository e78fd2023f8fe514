"""ComfyUI's validation errors, told so that the author of a workflow can act on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, title
from worker.workflow.validation.expectation import expected
from worker.workflow.validation.suggestion import BROKEN_LINK_KINDS, broken_link, missing_class_suggestion, suggestion
from worker.workflow.validation.validation_error import ErrorSubject, ValidationError, validation_errors

MOST_SUGGESTIONS = 50  # looking for a near name takes milliseconds in a long list, and a workflow can be all wrong


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, what was expected, and what would probably be right.

    `kind` is the type of the error in ComfyUI's words. `comfyui_type` is the same where ComfyUI itself would say it of
    the workflow as it is; None where it would not come so far, or says nothing at all. `file` is a model file that is
    named inside of a value.
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
    """Turn the JSON of a refusal (`error`, `node_errors`; also of a 200 with node errors) into problems.

    Reads foreign JSON leniently: what is missing or of another shape is left out, nothing is raised. There is at
    least one problem if `error` is given.
    """
    problems: list[Problem] = []
    for node_id, validation_error in validation_errors(node_errors):
        subject = ErrorSubject(validation_error, node_id, prompt, catalog)
        with_suggestion = len(problems) < MOST_SUGGESTIONS
        problems.append(_problem(subject, suggestion(subject) if with_suggestion else None))
    if not problems and error is not None:
        problems.append(_explain_whole(ValidationError.read(error), prompt, catalog))
    return tuple(problems)


def _problem(subject: ErrorSubject, cure: str | None) -> Problem:
    node, validation_error = subject.prompt.get(subject.node_id), subject.validation_error
    name, wanted = validation_error.input_name, expected(subject)
    if validation_error.kind in BROKEN_LINK_KINDS:
        found = broken_link(subject)
        name, wanted = found[0] if found else None, None
    return Problem(
        node_id=subject.node_id,
        node_title=title(subject.prompt, subject.node_id) if node else None,
        class_type=node["class_type"] if node else None,
        input=name,
        message=validation_error.text,
        suggestion=cure,
        comfyui_type=validation_error.kind,
        expected=wanted,
        kind=validation_error.kind,
    )


def _explain_whole(validation_error: ValidationError, prompt: Prompt, catalog: Catalog | None) -> Problem:
    """Explain an error that is told for the prompt, not for a node, though it may name one."""
    node_id, class_type = validation_error.extra.get("node_id"), validation_error.extra.get("class_type")
    cure = missing_class_suggestion(class_type, catalog) if isinstance(class_type, str) else None
    if validation_error.kind == "prompt_no_outputs":
        cure = "Add a node that saves or previews something, such as SaveImage."
    if isinstance(node_id, str):
        return _problem(ErrorSubject(validation_error, node_id, prompt, catalog), cure)
    return Problem(
        None,
        None,
        None,
        validation_error.input_name,
        validation_error.text,
        cure,
        validation_error.kind,
        kind=validation_error.kind,
    )
