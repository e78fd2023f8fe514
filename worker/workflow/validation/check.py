"""Finds all problems of a workflow: what ComfyUI would reject, and what it would accept but fail to run."""

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
"""The kind of problems for which ComfyUI has no error type."""
DEEPEST = 500
"""Maximum length of a chain of nodes. ComfyUI exceeds Python's recursion limit of 1000 at about 970 nodes."""
MOST_SUGGESTIONS = 20
"""Maximum number of broken links for which a similar node id is searched."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of `check`.

    `prompt` is empty if the workflow is not a prompt. `verdict` is the response that ComfyUI itself would give. It is
    None if the editor's workflow could not be converted to a prompt.

    `problems` has more than ComfyUI's own errors: outputs that it would silently skip, graphs that crash it, and
    models that nodes would skip without an error. It also has errors that ComfyUI would only report after the first
    ones are fixed. Their `comfyui_type` is None.
    """

    prompt: Prompt
    verdict: Verdict | None
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def check(workflow: object, catalog: Catalog, files: FileCheck | None = None, saved: object = None) -> CheckResult:
    """Return all problems of a decoded JSON value that should be a workflow in API format, wrapped or not.

    `catalog` and `files` are as for `validate`. `saved` is the workflow as the editor saved it, or None: it names the
    node packs of missing classes. The value is not changed. Never raises.
    """
    try:
        prompt = parse_prompt(workflow)
    except PromptError as error:
        verdict = validate(workflow, catalog, files)
        problem = replace(problem_of_error(error, {}), comfyui_type=_comfyui_type(error, verdict))
        return CheckResult({}, verdict, (problem,))
    verdict = validate(prompt, catalog, files)
    reported = list[Problem]()
    if not verdict.accepted or verdict.node_errors:
        sent_verdict = _verdict_with_meta(prompt, verdict, catalog, files)
        reported = list(_reported_problems(prompt, sent_verdict, catalog, saved))
    # ComfyUI has already reported the broken links of these nodes.
    with_broken_link = {problem.node_id for problem in reported if problem.kind in BROKEN_LINK_KINDS}
    # The prompt of the verdict lacks links that a node pack removes before the validation. ComfyUI never follows them.
    errors = graph_errors(verdict.prompt or prompt)
    unsound = [problem_of_error(error, prompt) for error in errors if error.node_id not in with_broken_link]
    hidden = _hidden_problems(prompt, catalog, files, reported) if reported or unsound else ()
    return CheckResult(prompt, verdict, (*reported, *unsound, *hidden, *skipped_model_problems(prompt, catalog, files)))


def conversion_failure(error: WorkerError) -> CheckResult:
    """Return the result for a workflow that cannot be converted to a prompt, from the error of the conversion."""
    details = error.details or (Detail(error.message),)
    problems = (
        Problem(
            node_id=detail.node_id,
            node_title=detail.node_title,
            class_type=detail.class_type,
            input=detail.input,
            message=detail.message,
            suggestion=detail.suggestion,
            comfyui_type=None,
            kind=error.code,
        )
        for detail in details
    )
    return CheckResult({}, None, tuple(problems))


def graph_problems(prompt: Prompt) -> tuple[Problem, ...]:
    """Return the problems that do not depend on the engine: the part of `check` that needs no catalog."""
    return tuple(problem_of_error(error, prompt) for error in graph_errors(prompt))


def problem_of_error(error: PromptError, prompt: Prompt) -> Problem:
    """Return a `PromptError` as a problem."""
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


def _verdict_with_meta(prompt: Prompt, verdict: Verdict, catalog: Catalog, files: FileCheck | None) -> Verdict:
    """Return the verdict on the prompt as the worker sends it: with an empty `_meta` in each node that has none.

    ComfyUI can fail with status 500 for a node without `_meta`. For any other status, the given verdict is returned.
    """
    if verdict.status == 500:
        return validate({node_id: {"_meta": {}, **node} for node_id, node in prompt.items()}, catalog, files)
    return verdict


def _comfyui_type(error: PromptError, verdict: Verdict) -> str | None:
    """Return the type of ComfyUI's error for a node or workflow that cannot be parsed, or None if it reports none.

    `error` is the failure of the parser, which names the node, and `verdict` is ComfyUI's response.
    """
    node_errors = validation_errors(verdict.node_errors)
    kinds: list[object] = [node_error.kind for node_id, node_error in node_errors if node_id == error.node_id]
    if not kinds and verdict.error:
        kinds = [verdict.error["type"]]
    return next((kind for kind in kinds if isinstance(kind, str)), None)


def _reported_problems(prompt: Prompt, verdict: Verdict, catalog: Catalog, saved: object) -> Iterator[Problem]:
    """Yield the problems that ComfyUI reports. Of missing classes, it only reports the first, and this yields all."""
    sent = verdict.prompt or prompt
    if verdict.error and verdict.error["type"] == "missing_node_type":
        yield from missing_classes(sent, catalog, saved)
    elif verdict.status == 500:
        yield problem_of_error(PromptError("ComfyUI cannot read this workflow."), {})
    else:
        yield from explain(verdict.error, verdict.node_errors, sent, catalog)


def _hidden_problems(
    prompt: Prompt, catalog: Catalog, files: FileCheck | None, reported: Iterable[Problem]
) -> list[Problem]:
    """Return the problems that ComfyUI would only report after the `reported` ones are fixed.

    They are found by the same checks in a completed prompt, which has stand-ins for everything that is missing.
    """
    mismatched = {str(source) for problem in reported for source in _mismatched_source(problem, prompt)}
    completed = complete(prompt, catalog, tuple(sorted(mismatched & set(prompt))))
    if completed.prompt is prompt and not completed.targets:
        return []  # ComfyUI has already checked every node
    inspected = {node_id: node.copy() for node_id, node in completed.prompt.items()}
    for node in inspected.values():
        node["inputs"] = dict(node["inputs"])  # values are coerced in place
    inspection = Inspection(inspected, completed.catalog, files)
    outputs = [node_id for node_id, node in inspected.items() if completed.catalog[node["class_type"]].output_node]
    for target in (*outputs, *completed.targets):
        inspection.inspect(target)
    errors: dict[str, object] = {node_id: {"errors": reasons} for node_id, reasons in inspection.invalid()}
    unmatched = Counter(_identity(problem) for problem in reported)
    hidden = []
    for problem in explain(None, errors, prompt, catalog):
        identity = _identity(problem)
        if unmatched[identity]:  # this one is among the reported problems
            unmatched[identity] -= 1
        else:
            hidden.append(replace(problem, comfyui_type=None))
    return hidden


def _mismatched_source(problem: Problem, prompt: Prompt) -> Iterator[object]:
    """Yield the source of the link that a problem is about, if the problem is that the types do not match.

    Yield nothing for any other problem.
    """
    if problem.kind == "return_type_mismatch" and problem.node_id in prompt and problem.input:
        match prompt[problem.node_id]["inputs"].get(problem.input):
            case [source, _]:
                yield source


def _identity(problem: Problem) -> tuple[str | None, str | None, str]:
    """Return the fields that are equal in two problems that stand for the same error."""
    return problem.node_id, problem.input, problem.message


def graph_errors(prompt: Prompt) -> Iterator[PromptError]:
    """Yield an error for each link to a missing node. If there is none, yield an error for a cycle or too long a chain.

    ComfyUI accepts such a graph and then crashes. Its validation only follows inputs that the class declares, but its
    execution follows every link. If an undeclared input has a broken link, ComfyUI returns 200, and then the thread
    that runs prompts ends with an exception, so that no prompt runs any more (observed on 0.33.0).
    """
    broken_links = 0
    for node_id, name, source in _followed_links(prompt):
        if source not in prompt:
            broken_links += 1
            yield PromptError(
                f"Input {name!r} of node {node_id} is linked to node {source!r}, which does not exist.",
                node_id,
                name,
                did_you_mean(source, prompt) if broken_links <= MOST_SUGGESTIONS else None,
            )
    if len(prompt) > DEEPEST and not broken_links:  # a smaller prompt cannot have such a chain
        try:
            _check_depth(prompt)
        except PromptError as error:
            yield error


def _check_depth(prompt: Prompt) -> None:
    """Raise PromptError if the prompt has a cycle or a chain of more than `DEEPEST` nodes."""
    sources: dict[str, set[str]] = {node_id: set() for node_id in prompt}
    for node_id, _, source in _followed_links(prompt):
        sources[node_id].add(source)
    depths: dict[str, int] = {}
    try:
        for node_id in TopologicalSorter(sources).static_order():
            depths[node_id] = 1 + max((depths[source] for source in sources[node_id]), default=0)
    except CycleError as error:
        cycle = error.args[1]  # the ids of its nodes
        raise PromptError("The workflow has a cycle: this node depends on itself.", str(cycle[0])) from None
    deepest = max(depths, key=depths.__getitem__)
    if depths[deepest] > DEEPEST:
        raise PromptError(
            f"Node {deepest} depends on a chain of more than {DEEPEST} nodes. Shorten the chain.", deepest
        )


def _followed_links(prompt: Prompt) -> Iterator[tuple[str, str, str]]:
    """Yield (node id, input, source node id) for each value that ComfyUI treats as a link, even with a slot of 1.5.

    This includes lists that are wrapped to mark them as values: ComfyUI's validation unwraps them, and its execution
    then follows them as links.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            match value:
                case [str(source), int() | float()] | {"__value__": [str(source), int() | float()]}:
                    yield node_id, name, source
