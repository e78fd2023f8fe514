"""A plan carried out: the steps, the wait, a job that proves it, and the way back where it doesn't."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.errors import DeployError
from worker.fleet.apply.execution import Execution
from worker.fleet.apply.ready import ReadinessProgress, TemplateVersion, wait_until_ready
from worker.fleet.apply.rollback import roll_back
from worker.fleet.apply.smoke import Smoked
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import Action, Plan, Step
from worker.fleet.vast.account import Account


class ApplyListener(Protocol):
    """Hears how it goes."""

    def took(self, step: Step) -> None: ...

    def waits(self, progress: ReadinessProgress) -> None: ...

    def says(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Applied:
    """`problem` is empty where all is as wanted. `rolled_back` are groups that went back to their former version."""

    steps: int
    progress: ReadinessProgress | None = None
    smoked: Smoked | None = None
    problem: str = ""
    rolled_back: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problem


Smoker = Callable[[], Smoked] | None
"""Sends the smoke job; raises DeployError."""


def apply(
    execution: Execution, account: Account, fleet: Fleet, plan: Plan, smoke: Smoker, hear: ApplyListener
) -> Applied:
    """Raises NotThisFleet before any step, and DeployError where one fails; the next run goes on from there."""
    plan.check()
    since = time.time()
    for step in plan.steps:
        execution.take(step)
        hear.took(step)
    execution.remember_formers()
    if fleet.endpoint.state != "active":
        return Applied(len(plan.steps))
    moves = plan.has(Action.UPDATE_WORKERS)
    if _tell_again(execution, account, plan, hear):
        moves, since = True, since if moves else math.inf
    fresh = moves or plan.has(Action.CREATE_ENDPOINT, Action.CREATE_GROUP, Action.SET_STATE)
    done = _prove(execution, account, fleet, _Proof(smoke, since if moves else None, fresh), hear)
    if done.ok or not moves:
        return Applied(len(plan.steps), done.progress, done.smoked, done.problem)
    return _back(execution, account, Applied(len(plan.steps), done.progress, None, done.problem), hear)


@dataclass(frozen=True, slots=True)
class _Proof:
    """`since`: when workers were told to go over to another version; None: they weren't.

    `fresh`: workers have to start, so stopped ones don't count and the smoke job is sent in any case.
    """

    smoke: Smoker
    since: float | None
    fresh: bool


def _prove(execution: Execution, account: Account, fleet: Fleet, proof: _Proof, hear: ApplyListener) -> Applied:
    """The wait and the smoke job. An account without changes whose workers are there is not asked to work."""
    if execution.endpoint is None or execution.template is None:
        raise DeployError("there is no endpoint to wait for")
    looks: list[ReadinessProgress] = []

    def tell(progress: ReadinessProgress) -> None:
        looks.append(progress)
        hear.waits(progress)

    version = None if proof.since is None else TemplateVersion(execution.template.hash, proof.since)
    progress = wait_until_ready(
        account, execution.endpoint, version, fleet.readiness, tell, stopped_counts=not proof.fresh
    )
    if not progress.done:
        return Applied(0, progress, problem=f"after {fleet.readiness.limit_s:g} s: {_why(progress)}")
    if proof.smoke is None or (not proof.fresh and len(looks) == 1):
        return Applied(0, progress)
    try:
        smoked = proof.smoke()
    except DeployError as error:
        return Applied(0, progress, problem=f"the smoke job failed: {error}")
    hear.says(f"smoke job: {smoked}")
    return Applied(0, progress, smoked)


def _why(progress: ReadinessProgress) -> str:
    errors = f"; in error: {', '.join(map(str, progress.errors))}" if progress.errors else ""
    return f"{progress}{errors}"


def _tell_again(execution: Execution, account: Account, plan: Plan, hear: ApplyListener) -> bool:
    """Workers of the version before are still there whom this plan doesn't tell: an apply was cut off."""
    told = {step.name for step in plan.steps if step.action is Action.UPDATE_WORKERS}
    formers = {name: former for name, former in execution.formers.items() if name not in told}
    if not formers or not any(one.template_hash in formers.values() for one in account.instances()):
        return False
    hear.says("workers of the former version are left: they are told again")
    for name in formers:
        account.update_workers(execution.groups[name])
    return True


def _back(execution: Execution, account: Account, failed: Applied, hear: ApplyListener) -> Applied:
    """Every group to what it had before; one that had nothing before stays."""
    groups = {group.id: group for group in execution.groups.values()}
    targets = {execution.groups[name].id: former for name, former in execution.formers.items()}
    if not targets:
        return failed
    hear.says(f"{failed.problem}: going back to the former version")
    roll_back(account, targets, groups, hear.says)
    return Applied(failed.steps, failed.progress, None, failed.problem, tuple(execution.formers))
