"""What a real ComfyUI says to a prompt, what our strict verdict is, and where the two differ."""

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
"""ComfyUI does not queue a prompt with this key in `extra_data`: see `custom_nodes/comfy_worker_verdicts`."""

ASKED_OF_THE_WORKER = ("shared", "without missing classes", "files")


@dataclass(frozen=True, slots=True)
class Judgement:
    """`errors`: (type, input) of each node's, sorted, or the text where no input is named."""

    status: int
    error_type: str | None
    errors: dict[str, tuple[tuple[str, str], ...]]

    def without_inputs(self) -> Judgement:
        errors = {node_id: tuple(sorted((kind, "") for kind, _ in found)) for node_id, found in self.errors.items()}
        return replace(self, errors=errors)

    def __str__(self) -> str:
        told = "; ".join(f"{node_id}: {', '.join(map(' '.join, found))}" for node_id, found in self.errors.items())
        return f"{self.status} {self.error_type or ''} {told}".strip()


@dataclass(slots=True)
class VerdictComparison:
    """Counts by group of cases, and what differs: (case, ComfyUI's, ours)."""

    total: dict[str, int] = field(default_factory=dict)
    equal: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    """By ComfyUI, or in part."""
    differing: list[tuple[VerdictCase, Judgement, Judgement]] = field(default_factory=list)

    def add(self, case: VerdictCase, real: Judgement, ours: Judgement) -> None:
        self.total[case.group] = self.total.get(case.group, 0) + 1
        self.refused += real.status != 200 or bool(real.errors)
        if are_equivalent(real, ours):
            self.equal[case.group] = self.equal.get(case.group, 0) + 1
        else:
            self.differing.append((case, real, ours))


@dataclass(frozen=True, slots=True)
class PromptValidators:
    """The ComfyUI at `url`, whose classes are `catalog` and whose files are `files`; the worker before it, if any."""

    url: str
    catalog: Catalog
    files: FileCheck
    worker: str = ""

    async def real(self, prompt: Any, http: aiohttp.ClientSession) -> Judgement:  # noqa: ANN401 - JSON
        body = {"prompt": prompt, "extra_data": {MARK: True}}
        async with http.post(f"{self.url}/prompt", json=body) as answer:
            said = await answer.json() if answer.content_type == "application/json" else {}
            return judgement(answer.status, said.get("error"), said.get("node_errors"))

    def ours(self, prompt: Any) -> Judgement:  # noqa: ANN401 - JSON
        verdict = validate(prompt, self.catalog, self.files)
        return judgement(verdict.status, verdict.error, verdict.node_errors)

    async def workers(self, prompt: Any, http: aiohttp.ClientSession) -> Judgement:  # noqa: ANN401 - JSON
        """What `POST /validate?strict=true` answers, which names no inputs."""
        async with http.post(f"{self.worker}/validate?strict=true", json={"workflow": prompt}) as answer:
            said = (await answer.json()).get("comfyui") or {}
        errors = {
            node_id: tuple((kind, "") for kind in kinds) for node_id, kinds in said.get("node_errors", {}).items()
        }
        return Judgement(said.get("status", answer.status), said.get("error_type"), errors)


async def compare(
    cases: Iterable[VerdictCase], judges: PromptValidators, http: aiohttp.ClientSession
) -> VerdictComparison:
    """Ask all for each prompt; the worker for those of `ASKED_OF_THE_WORKER`."""
    found = VerdictComparison()
    for case in cases:
        real = await judges.real(case.prompt, http)
        found.add(case, real, judges.ours(case.prompt))
        if judges.worker and case.group in ASKED_OF_THE_WORKER:
            asked = replace(case, group=f"{case.group}: POST /validate")
            found.add(asked, real.without_inputs(), await judges.workers(case.prompt, http))
    return found


CHANCE = ("exception_during_inner_validation", "exception_during_validation", "dependency_cycle")
"""Where ComfyUI stops at one of these, what it has looked at before depends on the order of a set of names."""


def are_equivalent(one: Judgement, other: Judgement) -> bool:
    """Compare all that ComfyUI does not leave to chance."""
    if one == other:
        return True
    if (one.status, one.error_type) != (other.status, other.error_type) or not (_stopped(one) and _stopped(other)):
        return False
    both = one.errors.keys() & other.errors.keys()
    return all(_kinds(one, node_id) == _kinds(other, node_id) for node_id in both)


def _stopped(found: Judgement) -> bool:
    return any(kind in CHANCE for errors in found.errors.values() for kind, _ in errors)


def _kinds(found: Judgement, node_id: str) -> list[tuple[str, str]]:
    return sorted(("stopped", "") if kind in CHANCE else (kind, name) for kind, name in found.errors[node_id])


def judgement(status: int, error: Any, node_errors: Any) -> Judgement:  # noqa: ANN401 - JSON
    told: dict[str, list[tuple[str, str]]] = {}
    for node_id, one in validation_errors(node_errors or {}):
        told.setdefault(node_id, []).append((one.kind, one.input_name or one.text))
    error_type = error.get("type") if isinstance(error, dict) else None
    return Judgement(status, error_type, {node_id: tuple(sorted(found)) for node_id, found in sorted(told.items())})
