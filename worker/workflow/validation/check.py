"""All that is wrong with a workflow, in one go: what ComfyUI would refuse, and what it would die of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

from worker.errors import Detail, PromptError, WorkerError
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, draw_random_integers, parse_prompt, title
from worker.workflow.validation.explain import Problem, explain, missing_class
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.inspection import Inspection
from worker.workflow.validation.repair import repair
from worker.workflow.validation.soundness import unsound
from worker.workflow.validation.suggestion import LOST
from worker.workflow.validation.validate import Verdict, validate
from worker.workflow.validation.validation_error import validation_errors

OURS = "unsound"
"""The kind of the problems that ComfyUI has no word for."""


@dataclass(frozen=True, slots=True)
class Check:
    """`verdict` is what ComfyUI itself would answer; `prompt` is empty where the workflow is none.

    Where no prompt could be made of what the editor saved there is no verdict.

    `problems` also has what ComfyUI takes and should not: outputs that it would silently leave out, graphs that it
    dies of; and what it would only say once the first faults are mended, with an empty `comfyui_type`.
    """

    prompt: Prompt
    verdict: Verdict | None
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        return not self.problems


def check(workflow: object, catalog: Catalog, files: FileCheck | None = None) -> Check:
    """Check a decoded workflow in API format, also one that is wrapped or is no workflow at all; it is not changed.

    `catalog` and `files` as for `validate`. Never raises.
    """
    try:
        prompt = parse_prompt(workflow)
    except PromptError as error:
        verdict = validate(workflow, catalog, files)
        return Check({}, verdict, (replace(of_error(error, {}), comfyui_type=_type(error, verdict)),))
    verdict = validate(prompt, catalog, files)
    told = list(_told(prompt, _sent(prompt, verdict, catalog, files), catalog))
    lost = {problem.node_id for problem in told if problem.kind in LOST}
    ours = [of_error(error, prompt) for error in unsound(prompt) if error.node_id not in lost]
    hidden = _untold(prompt, catalog, files, told) if told or ours else ()
    return Check(prompt, verdict, (*told, *ours, *hidden))


def not_converted(error: WorkerError) -> Check:
    """For a workflow of which no prompt can be made, by the error that says why."""
    details = error.details or (Detail(error.message),)
    problems = (
        Problem(
            one.node_id, one.node_title, one.class_type, one.input, one.message, one.suggestion, None, kind=error.code
        )
        for one in details
    )
    return Check({}, None, tuple(problems))


def drawn(workflow: object, rng: Random) -> object:
    """A decoded workflow with its random integers drawn, as it will be when it is sent; anything else as it is."""
    try:
        return draw_random_integers(parse_prompt(workflow), rng)
    except PromptError:
        return workflow


def problems_of(prompt: Prompt) -> tuple[Problem, ...]:
    """What is wrong whatever the engine: the part of `check` that needs no catalog."""
    return tuple(of_error(error, prompt) for error in unsound(prompt))


def of_error(error: PromptError, prompt: Prompt) -> Problem:
    """An error of our own as a problem."""
    node = prompt.get(error.node_id or "")
    return Problem(
        node_id=error.node_id,
        node_title=title(prompt, error.node_id) if node and error.node_id else None,
        class_type=node["class_type"] if node else None,
        input=error.input_name,
        message=error.message,
        suggestion=error.suggestion,
        comfyui_type=None,
        kind=OURS,
    )


def _sent(prompt: Prompt, verdict: Verdict, catalog: Catalog, files: FileCheck | None) -> Verdict:
    """Of the prompt as the worker sends it: with an empty `_meta` where ComfyUI trips over its absence."""
    if verdict.status == 500:
        return validate({node_id: {"_meta": {}, **node} for node_id, node in prompt.items()}, catalog, files)
    return verdict


def _type(error: PromptError, verdict: Verdict) -> str | None:
    """What ComfyUI calls it when a node, or the whole workflow, can't be read."""
    told = validation_errors(verdict.node_errors)
    kinds: list[object] = [validation_error.kind for node_id, validation_error in told if node_id == error.node_id]
    if not kinds and verdict.error:
        kinds = [verdict.error["type"]]
    return next((kind for kind in kinds if isinstance(kind, str)), None)


def _told(prompt: Prompt, verdict: Verdict, catalog: Catalog) -> Iterator[Problem]:
    """ComfyUI's own, but for a missing class: it names the first only."""
    sent = verdict.prompt or prompt
    if verdict.error and verdict.error["type"] == "missing_node_type":
        for node_id, node in sent.items():
            if node["class_type"] not in catalog:
                yield missing_class(node_id, sent, catalog)
    elif verdict.status == 500:
        yield Problem(None, None, None, None, "ComfyUI can't read this workflow.", None, None, kind=OURS)
    else:
        yield from explain(verdict.error, verdict.node_errors, sent, catalog)


def _untold(prompt: Prompt, catalog: Catalog, files: FileCheck | None, told: Iterable[Problem]) -> list[Problem]:
    """What the same checks say of the mended prompt, less what is told already."""
    mismatched = {str(source) for problem in told for source in _mismatched(problem, prompt)}
    repaired = repair(prompt, catalog, tuple(sorted(mismatched & set(prompt))))
    if repaired.prompt is prompt and not repaired.targets:
        return []
    inspected = {node_id: node.copy() for node_id, node in repaired.prompt.items()}
    for node in inspected.values():
        node["inputs"] = dict(node["inputs"])  # values are coerced in place
    inspection = Inspection(inspected, repaired.catalog, files)
    outputs = [node_id for node_id, node in inspected.items() if repaired.catalog[node["class_type"]].output_node]
    for target in (*outputs, *repaired.targets):
        inspection.inspect(target)
    errors: dict[str, object] = {node_id: {"errors": reasons} for node_id, reasons in inspection.invalid()}
    known = Counter(_key(problem) for problem in told)
    fresh = []
    for problem in explain(None, errors, prompt, catalog):
        key = _key(problem)
        if known[key]:
            known[key] -= 1
        else:
            fresh.append(replace(problem, comfyui_type=None))
    return fresh


def _mismatched(problem: Problem, prompt: Prompt) -> Iterator[object]:
    if problem.kind == "return_type_mismatch" and problem.node_id in prompt and problem.input:
        match prompt[problem.node_id]["inputs"].get(problem.input):
            case [source, _]:
                yield source


def _key(problem: Problem) -> tuple[str | None, str | None, str]:
    return problem.node_id, problem.input, problem.message
