"""All that is wrong with a workflow, in one go: what ComfyUI would refuse, and what it would die of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from worker.errors import Detail, PromptError, WorkerError
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.missing_class import missing_classes
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, parse_prompt, title
from worker.workflow.validation.completion import complete
from worker.workflow.validation.explain import Problem, explain
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.inspection import Inspection
from worker.workflow.validation.skipped_models import skipped_model_problems
from worker.workflow.validation.suggestion import BROKEN_LINK_KINDS
from worker.workflow.validation.validate import Verdict, validate
from worker.workflow.validation.validation_error import validation_errors

UNSOUND = "unsound"
"""The kind of the problems that ComfyUI has no word for."""
DEEPEST = 500
"""Nodes in a row. Python's limit of 1000 frames ends ComfyUI at about 970."""
MOST_SUGGESTIONS = 20


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`verdict` is what ComfyUI itself would answer; `prompt` is empty where the workflow is none.

    Where no prompt could be made of what the editor saved there is no verdict.

    `problems` also has what ComfyUI takes and should not: outputs that it would silently leave out, graphs that it
    dies of; models that nodes would leave out without an error; and what it would only say once the first faults are
    mended, with an empty `comfyui_type`.
    """

    prompt: Prompt
    verdict: Verdict | None
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        return not self.problems


def check(workflow: object, catalog: Catalog, files: FileCheck | None = None, saved: object = None) -> CheckResult:
    """Check a decoded workflow in API format, also one that is wrapped or is no workflow at all; it is not changed.

    `catalog` and `files` as for `validate`; `saved` is what the editor saved, which names packs. Never raises.
    """
    try:
        prompt = parse_prompt(workflow)
    except PromptError as error:
        verdict = validate(workflow, catalog, files)
        return CheckResult({}, verdict, (replace(problem_of_error(error, {}), comfyui_type=_type(error, verdict)),))
    verdict = validate(prompt, catalog, files)
    whole = verdict.accepted and not verdict.node_errors
    told = [] if whole else list(_told(prompt, _sent(prompt, verdict, catalog, files), catalog, saved))
    lost = {problem.node_id for problem in told if problem.kind in BROKEN_LINK_KINDS}
    # What a pack takes away before ComfyUI validates is not followed either.
    ours = [
        problem_of_error(error, prompt) for error in graph_errors(verdict.prompt or prompt) if error.node_id not in lost
    ]
    hidden = _untold(prompt, catalog, files, told) if told or ours else ()
    return CheckResult(prompt, verdict, (*told, *ours, *hidden, *skipped_model_problems(prompt, catalog, files)))


def conversion_failure(error: WorkerError) -> CheckResult:
    """For a workflow of which no prompt can be made, by the error that says why."""
    details = error.details or (Detail(error.message),)
    problems = (
        Problem(
            one.node_id, one.node_title, one.class_type, one.input, one.message, one.suggestion, None, kind=error.code
        )
        for one in details
    )
    return CheckResult({}, None, tuple(problems))


def graph_problems(prompt: Prompt) -> tuple[Problem, ...]:
    """What is wrong whatever the engine: the part of `check` that needs no catalog."""
    return tuple(problem_of_error(error, prompt) for error in graph_errors(prompt))


def problem_of_error(error: PromptError, prompt: Prompt) -> Problem:
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
        kind=UNSOUND,
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


def _told(prompt: Prompt, verdict: Verdict, catalog: Catalog, saved: object) -> Iterator[Problem]:
    """ComfyUI's own, but for a missing class: it names the first only."""
    sent = verdict.prompt or prompt
    if verdict.error and verdict.error["type"] == "missing_node_type":
        yield from missing_classes(sent, catalog, saved)
    elif verdict.status == 500:
        yield Problem(None, None, None, None, "ComfyUI can't read this workflow.", None, None, kind=UNSOUND)
    else:
        yield from explain(verdict.error, verdict.node_errors, sent, catalog)


def _untold(prompt: Prompt, catalog: Catalog, files: FileCheck | None, told: Iterable[Problem]) -> list[Problem]:
    """What the same checks say of the mended prompt, less what is told already."""
    mismatched = {str(source) for problem in told for source in _mismatched(problem, prompt)}
    completed = complete(prompt, catalog, tuple(sorted(mismatched & set(prompt))))
    if completed.prompt is prompt and not completed.targets:
        return []
    inspected = {node_id: node.copy() for node_id, node in completed.prompt.items()}
    for node in inspected.values():
        node["inputs"] = dict(node["inputs"])  # values are coerced in place
    inspection = Inspection(inspected, completed.catalog, files)
    outputs = [node_id for node_id, node in inspected.items() if completed.catalog[node["class_type"]].output_node]
    for target in (*outputs, *completed.targets):
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


def graph_errors(prompt: Prompt) -> Iterator[PromptError]:
    """Yield every link to nowhere, the first few with the id that was probably meant; else a chain that is too long.

    ComfyUI takes such a graph and then dies of it. Its validation follows only the inputs that a class has, its
    execution every link there is: under an input that no class knows the graph is accepted with 200 and then raises
    outside of everything that catches, the thread that runs prompts ends, and nothing runs any more (seen on 0.33.0).
    """
    lost = 0
    for node_id, name, source in _links(prompt):
        if source not in prompt:
            lost += 1
            yield PromptError(
                f"Input {name!r} of node {node_id} is linked to node {source!r}, which is not there.",
                node_id,
                name,
                did_you_mean(source, prompt) if lost <= MOST_SUGGESTIONS else None,
            )
    if len(prompt) > DEEPEST and not lost:
        try:
            _check_depth(prompt)
        except PromptError as error:
            yield error


def _check_depth(prompt: Prompt) -> None:
    sources: dict[str, set[str]] = {node_id: set() for node_id in prompt}
    for node_id, _, source in _links(prompt):
        sources[node_id].add(source)
    depths: dict[str, int] = {}
    try:
        for node_id in TopologicalSorter(sources).static_order():
            depths[node_id] = 1 + max((depths[source] for source in sources[node_id]), default=0)
    except CycleError as error:
        raise PromptError("The workflow has a cycle.", str(error.args[1][0])) from None
    deepest = max(depths, key=depths.__getitem__)
    if depths[deepest] > DEEPEST:
        raise PromptError(f"Node {deepest} stands behind a chain of more than {DEEPEST} nodes.", deepest)


def _links(prompt: Prompt) -> Iterator[tuple[str, str, str]]:
    """(node id, input, source): whatever ComfyUI follows, a slot of 1.5 included.

    A list that is wrapped so as to be no link becomes one all the same: validation unwraps it, and execution then
    follows it.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            match value:
                case [str(source), int() | float()] | {"__value__": [str(source), int() | float()]}:
                    yield node_id, name, source
