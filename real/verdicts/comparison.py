"""Comparison of a real ComfyUI's verdict on a prompt with the verdict of our strict validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from real.verdicts.corpus import VerdictCase
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.validate import validate
from worker.workflow.validation.validation_error import validation_errors

MARK = "comfy_worker_verdict_only"
"""ComfyUI does not queue a prompt with this key in `extra_data`. See `custom_nodes/comfy_worker_verdicts`."""

WORKER_GROUPS = ("shared", "without missing classes", "files")
"""Groups of prompts that are also sent to the worker's `POST /validate`."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict on a prompt.

    `errors` has, for each node, its errors as sorted pairs of type and input. For an error without an input,
    the second part is its text.
    """

    status: int
    error_type: str | None
    errors: dict[str, tuple[tuple[str, str], ...]]

    def without_inputs(self) -> Judgement:
        """Return the verdict without the inputs in its errors."""
        errors = {node_id: tuple(sorted((kind, "") for kind, _ in pairs)) for node_id, pairs in self.errors.items()}
        return replace(self, errors=errors)

    def __str__(self) -> str:
        errors = "; ".join(f"{node_id}: {', '.join(map(' '.join, pairs))}" for node_id, pairs in self.errors.items())
        return f"{self.status} {self.error_type or ''} {errors}".strip()


@dataclass(slots=True)
class VerdictComparison:
    """Counts of all and of equal verdicts by group, and the prompts whose verdicts differ."""

    total: dict[str, int] = field(default_factory=dict)
    equal: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    """Prompts that ComfyUI rejected, wholly or in part."""
    differing: list[tuple[VerdictCase, Judgement, Judgement]] = field(default_factory=list)
    """Prompts with ComfyUI's verdict and ours."""

    def add(self, case: VerdictCase, real: Judgement, ours: Judgement) -> None:
        """Compare two verdicts on one prompt, and count them."""
        self.total[case.group] = self.total.get(case.group, 0) + 1
        self.refused += real.status != 200 or bool(real.errors)
        if are_equivalent(real, ours):
            self.equal[case.group] = self.equal.get(case.group, 0) + 1
        else:
            self.differing.append((case, real, ours))


@dataclass(frozen=True, slots=True)
class PromptValidators:
    """The three sources of verdicts: a ComfyUI, our rules, and optionally a worker.

    `url` is the ComfyUI, and `catalog` and `files` are its classes and files. `worker` is the URL of a worker in front
    of it, or empty.
    """

    url: str
    catalog: Catalog
    files: FileCheck
    worker: str = ""

    async def comfyui_verdict(self, prompt: Any, http: aiohttp.ClientSession) -> Judgement:  # noqa: ANN401 - JSON
        """Return the verdict of ComfyUI's `POST /prompt`."""
        body = {"prompt": prompt, "extra_data": {MARK: True}}
        async with http.post(f"{self.url}/prompt", json=body) as response:
            content = await response.json() if response.content_type == "application/json" else {}
            return judgement(response.status, content.get("error"), content.get("node_errors"))

    def our_verdict(self, prompt: Any) -> Judgement:  # noqa: ANN401 - JSON
        """Return the verdict of our strict validation."""
        verdict = validate(prompt, self.catalog, self.files)
        return judgement(verdict.status, verdict.error, verdict.node_errors)

    async def worker_verdict(self, prompt: Any, http: aiohttp.ClientSession) -> Judgement:  # noqa: ANN401 - JSON
        """Return the verdict of the worker's `POST /validate?strict=true`, whose errors name no inputs."""
        async with http.post(f"{self.worker}/validate?strict=true", json={"workflow": prompt}) as response:
            verdict = (await response.json()).get("comfyui") or {}
        errors = {
            node_id: tuple((kind, "") for kind in kinds) for node_id, kinds in verdict.get("node_errors", {}).items()
        }
        return Judgement(verdict.get("status", response.status), verdict.get("error_type"), errors)


async def compare(
    cases: Iterable[VerdictCase], validators: PromptValidators, http: aiohttp.ClientSession
) -> VerdictComparison:
    """Compare the verdicts on each prompt. Only prompts of `WORKER_GROUPS` are sent to the worker."""
    comparison = VerdictComparison()
    for case in cases:
        real = await validators.comfyui_verdict(case.prompt, http)
        comparison.add(case, real, validators.our_verdict(case.prompt))
        if validators.worker and case.group in WORKER_GROUPS:
            worker_case = replace(case, group=f"{case.group}: POST /validate")
            comparison.add(worker_case, real.without_inputs(), await validators.worker_verdict(case.prompt, http))
    return comparison


UNORDERED_ERRORS = ("exception_during_inner_validation", "exception_during_validation", "dependency_cycle")
"""Errors at which ComfyUI stops. The nodes checked before depend on the order of a Python set, which is random."""


def are_equivalent(one: Judgement, other: Judgement) -> bool:
    """Return whether two verdicts agree in everything that is not random in ComfyUI."""
    if one == other:
        return True
    same_result = (one.status, one.error_type) == (other.status, other.error_type)
    if not same_result or not _stopped(one) or not _stopped(other):
        return False
    # Which nodes were checked before the stop is random.
    common_nodes = one.errors.keys() & other.errors.keys()
    return all(_comparable_errors(one, node_id) == _comparable_errors(other, node_id) for node_id in common_nodes)


def _stopped(verdict: Judgement) -> bool:
    """Return whether the validation stopped at one of `UNORDERED_ERRORS`."""
    return any(kind in UNORDERED_ERRORS for pairs in verdict.errors.values() for kind, _ in pairs)


def _comparable_errors(verdict: Judgement, node_id: str) -> list[tuple[str, str]]:
    """Return the errors of a node, with one common name for all `UNORDERED_ERRORS`."""
    pairs = verdict.errors[node_id]
    return sorted(("stopped", "") if kind in UNORDERED_ERRORS else (kind, name) for kind, name in pairs)


def judgement(status: int, error: Any, node_errors: Any) -> Judgement:  # noqa: ANN401 - JSON
    """Return the verdict for a status and the `error` and `node_errors` of a response of `POST /prompt`."""
    errors: dict[str, list[tuple[str, str]]] = {}
    for node_id, node_error in validation_errors(node_errors or {}):
        errors.setdefault(node_id, []).append((node_error.kind, node_error.input_name or node_error.text))
    error_type = error.get("type") if isinstance(error, dict) else None
    return Judgement(status, error_type, {node_id: tuple(sorted(pairs)) for node_id, pairs in sorted(errors.items())})
