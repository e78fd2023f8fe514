"""The result of a validation as JSON: the response of `POST /validate` and the output of `validate --json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from worker.errors import Detail
from worker.prompt_changes import Repair, SeedField
from worker.workflow.json_value import JsonObject
from worker.workflow.model_needs import ModelNeed
from worker.workflow.validation.check import CheckResult
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.skipped_models import SKIPPED
from worker.workflow.validation.validate import Verdict
from worker.workflow.validation.validation_error import validation_errors

_UNITS = ("bytes", "KiB", "MiB", "GiB")


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The result of a validation.

    `doubtful` are problems that are not certain, so that they do not reject a job. `present_models` are the models that
    exist on this worker. `workload` is in units. `predicted_s` are the seconds that the job would run now, None if this
    is not known. `repairs`, `warnings` and `seeds` are those that the response of a job would list.
    """

    check: CheckResult
    problems: tuple[Problem, ...]
    doubtful: tuple[Problem, ...]
    models: tuple[ModelNeed, ...]
    present_models: frozenset[ModelNeed]
    workload: float
    predicted_s: float | None = None
    repairs: tuple[Repair, ...] = ()
    warnings: tuple[Detail, ...] = ()
    seeds: tuple[SeedField, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there are no certain problems."""
        return not self.problems

    @property
    def missing(self) -> tuple[ModelNeed, ...]:
        """The models that the workflow certainly needs and that do not exist here."""
        return tuple(need for need in self.models if need.is_certain and need not in self.present_models)

    @property
    def only_models_missing(self) -> bool:
        """Whether there are problems and each of them is a missing model file."""
        are_missing_models = [_is_missing_model(problem, self.check, self.models) for problem in self.problems]
        return bool(self.problems) and all(are_missing_models)

    def as_dict(self) -> JsonObject:
        """Return the report in the format of the response."""
        return {
            "valid": self.valid,
            "nodes": len(self.check.prompt),
            "problems": [_problem_json(problem) for problem in self.problems],
            "doubtful": [_problem_json(problem) for problem in self.doubtful],
            "models": [_model_json(need, need in self.present_models) for need in self.models],
            "workload": self.workload,
            "predicted_s": self.predicted_s,
            "comfyui": _verdict_json(self.check.verdict) if self.check.verdict else None,
            **self._changes(),
        }

    def _changes(self) -> JsonObject:
        """Return repairs, warnings and seeds in the format of the response. An empty list is omitted."""
        changes: dict[str, Sequence[Repair | Detail | SeedField]] = {
            "repairs": self.repairs,
            "warnings": self.warnings,
            "seeds": self.seeds,
        }
        return {name: [asdict(change) for change in items] for name, items in changes.items() if items}


def build_report(
    check: CheckResult,
    models: Iterable[ModelNeed],
    workload: float,
    is_present: Callable[[ModelNeed], bool],
    is_certain: Callable[[Problem], bool] = lambda _: True,
) -> ValidationReport:
    """Return the report of a check. Problems about missing models get a clear message and their download.

    `models` are the model files that the prompt needs. A problem that is not certain becomes a doubtful one.
    """
    needs = tuple(models)
    problems = tuple(_with_download(problem, check, needs) for problem in check.problems)
    return ValidationReport(
        check=check,
        problems=tuple(problem for problem in problems if is_certain(problem)),
        doubtful=tuple(problem for problem in problems if not is_certain(problem)),
        models=needs,
        present_models=frozenset(need for need in needs if is_present(need)),
        workload=workload,
    )


def _problem_json(problem: Problem) -> JsonObject:
    """Return a problem in the format of the response. Responses of jobs have problems in the same format.

    `output` is always None, because only a job that runs has outputs.
    """
    fields = asdict(problem)
    code = fields.pop("kind")
    del fields["file"]  # the message contains it
    return {**fields, "code": code, "output": None}


def _with_download(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> Problem:
    """Return a problem about a missing model with a clear message and its download. Return others unchanged."""
    need = next(_needs_of(problem, check, needs), None)
    if need is None:  # the problem is not about a missing model
        return problem
    suggestions = [problem.suggestion, _download_hint(need)]
    # A problem with `file` already has a clear message.
    message = problem.message if problem.file else f"models/{need.folder} has no file {need.file!r}."
    return replace(problem, message=message, suggestion=" ".join(filter(None, suggestions)) or None)


def _is_missing_model(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> bool:
    """Return whether a problem is that a model file is missing."""
    return next(_needs_of(problem, check, needs), None) is not None


def _needs_of(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> Iterator[ModelNeed]:
    """Yield the model files among `needs` that a problem is about. Yield nothing for another kind of problem."""
    if problem.kind not in {"value_not_in_list", SKIPPED}:
        return
    node = check.prompt.get(problem.node_id or "")
    value: object = problem.file
    if not value and node:
        value = node["inputs"].get(problem.input or "")
    yield from (need for need in needs if problem.node_id in need.nodes and need.file == value)


def _download_hint(need: ModelNeed) -> str | None:
    """Return a sentence with the URL and the size of a model, or None if no download is known."""
    if need.source is None or not need.source.url:
        return None
    size = f" ({_size(need.source.size)})" if need.source.size else ""
    gated = " This host requires an access token." if need.source.gated else ""
    return f"Download it from {need.source.url}{size}.{gated}"


def _size(count: float) -> str:
    """Return a number of bytes as text, such as "1.5 GiB"."""
    *smaller_units, largest_unit = _UNITS
    for unit in smaller_units:
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {largest_unit}"


def _model_json(need: ModelNeed, is_present: bool) -> JsonObject:
    """Return a model in the format of the response."""
    source = need.source
    return {
        "file": need.file,
        "folder": need.folder,
        "nodes": [*need.nodes],
        "here": is_present,
        "url": source.url if source else None,
        "size": source.size if source else None,
        "sha256": source.sha256 if source else None,
        "gated": bool(source and source.gated),
    }


def _verdict_json(verdict: Verdict) -> JsonObject:
    """Return a summary of ComfyUI's response to `POST /prompt`: its status, and the sorted error types by node."""
    kinds: dict[str, list[str]] = {}
    for node_id, validation_error in validation_errors(verdict.node_errors):
        kinds.setdefault(node_id, []).append(validation_error.kind)
    return {
        "status": verdict.status,
        "error_type": verdict.error["type"] if verdict.error else None,
        "node_errors": {node_id: [*sorted(node_kinds)] for node_id, node_kinds in kinds.items()},
    }
