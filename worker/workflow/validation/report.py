"""A checked workflow as JSON: the answer of `POST /validate`, and what `comfy-worker validate --json` prints."""

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
    """`doubtful` are problems that only ComfyUI can be sure of: they refuse nothing. `here`: which models are there.

    `workload` in units of which the benchmark workflow has 100. `repairs`, `warnings` and `seeds` are what the answer
    of a job would list.
    """

    check: CheckResult
    problems: tuple[Problem, ...]
    doubtful: tuple[Problem, ...]
    models: tuple[ModelNeed, ...]
    present_models: frozenset[ModelNeed]
    workload: float
    repairs: tuple[Repair, ...] = ()
    warnings: tuple[Detail, ...] = ()
    seeds: tuple[SeedField, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.problems

    @property
    def missing(self) -> tuple[ModelNeed, ...]:
        """Those that a job can't do without."""
        return tuple(need for need in self.models if need.is_certain and need not in self.present_models)

    @property
    def only_models_missing(self) -> bool:
        """True where there are problems, and each of them is a model file that isn't there."""
        return bool(self.problems) and all(_is_missing(problem, self.check, self.models) for problem in self.problems)

    def as_dict(self) -> JsonObject:
        return {
            "valid": self.valid,
            "nodes": len(self.check.prompt),
            "problems": [_problem(problem) for problem in self.problems],
            "doubtful": [_problem(problem) for problem in self.doubtful],
            "models": [_model(need, need in self.present_models) for need in self.models],
            "workload": self.workload,
            "comfyui": _summary(self.check.verdict) if self.check.verdict else None,
            **self._changes(),
        }

    def _changes(self) -> JsonObject:
        changes: dict[str, Sequence[Repair | Detail | SeedField]] = {
            "repairs": self.repairs,
            "warnings": self.warnings,
            "seeds": self.seeds,
        }
        return {name: [asdict(change) for change in listed] for name, listed in changes.items() if listed}


def build_report(
    check: CheckResult,
    models: Iterable[ModelNeed],
    workload: float,
    here: Callable[[ModelNeed], bool],
    certain: Callable[[Problem], bool] = lambda _: True,
) -> ValidationReport:
    """Bring together what is known; missing models are told as such, with their download."""
    needs = tuple(models)
    problems = tuple(_told(problem, check, needs) for problem in check.problems)
    return ValidationReport(
        check=check,
        problems=tuple(problem for problem in problems if certain(problem)),
        doubtful=tuple(problem for problem in problems if not certain(problem)),
        models=needs,
        present_models=frozenset(need for need in needs if here(need)),
        workload=workload,
    )


def _problem(problem: Problem) -> JsonObject:
    """The object that answers of jobs have under `problems`, too; `output` is for files, which nothing has made yet."""
    found = asdict(problem)
    code = found.pop("kind")
    del found["file"]  # the message has it
    return {**found, "code": code, "output": None}


def _told(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> Problem:
    need = next(_needs(problem, check, needs), None)
    if need is None:
        return problem
    cures = [problem.suggestion, _download(need)]
    message = problem.message if problem.file else f"models/{need.folder} has no file {need.file!r}."
    return replace(problem, message=message, suggestion=" ".join(filter(None, cures)) or None)


def _is_missing(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> bool:
    return next(_needs(problem, check, needs), None) is not None


def _needs(problem: Problem, check: CheckResult, needs: tuple[ModelNeed, ...]) -> Iterator[ModelNeed]:
    """The model file that a problem is about."""
    if problem.kind not in {"value_not_in_list", SKIPPED}:
        return
    node = check.prompt.get(problem.node_id or "")
    value = problem.file or (node["inputs"].get(problem.input or "") if node else None)
    yield from (need for need in needs if problem.node_id in need.nodes and need.file == value)


def _download(need: ModelNeed) -> str | None:
    if need.source is None or not need.source.url:
        return None
    size = f" ({_size(need.source.size)})" if need.source.size else ""
    gated = ", whose host asks for a token" if need.source.gated else ""
    return f"Download it from {need.source.url}{size}{gated}."


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            break
        count /= 1024
    return f"{count:.1f} {unit}"


def _model(need: ModelNeed, here: bool) -> JsonObject:
    source = need.source
    return {
        "file": need.file,
        "folder": need.folder,
        "nodes": [*need.nodes],
        "here": here,
        "url": source.url if source else None,
        "size": source.size if source else None,
        "sha256": source.sha256 if source else None,
        "gated": bool(source and source.gated),
    }


def _summary(verdict: Verdict) -> JsonObject:
    """What `POST /prompt` of ComfyUI answers: its status, and the types of its errors, those of each node sorted."""
    kinds: dict[str, list[str]] = {}
    for node_id, validation_error in validation_errors(verdict.node_errors):
        kinds.setdefault(node_id, []).append(validation_error.kind)
    return {
        "status": verdict.status,
        "error_type": verdict.error["type"] if verdict.error else None,
        "node_errors": {node_id: [*sorted(found)] for node_id, found in kinds.items()},
    }
