"""Applying a plan: run its steps, wait for ready workers, send a smoke job, and roll back if one of them fails."""

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
from worker.fleet.apply.smoke import SmokeResult
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import Action, Plan, Step
from worker.fleet.vast.account import Account


class ApplyListener(Protocol):
    """Receives the progress of an apply."""

    def step_done(self, step: Step) -> None:
        """Called after each step."""

    def waiting(self, progress: ReadinessProgress) -> None:
        """Called each time the workers were counted."""

    def message(self, text: str) -> None:
        """Called with a sentence for the user."""


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The outcome of an apply.

    `problem` is empty when it succeeded. `rolled_back` has the names of the groups that went back to their previous
    version.
    """

    steps: int
    progress: ReadinessProgress | None = None
    smoke: SmokeResult | None = None
    problem: str = ""
    rolled_back: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the account is as the file says and the smoke job, if there is one, succeeded."""
        return not self.problem


SmokeRunner = Callable[[], SmokeResult] | None
"""Sends the smoke job and waits for its result; raises DeployError when it fails. None means no smoke job."""


def apply(
    execution: Execution, account: Account, fleet: Fleet, plan: Plan, smoke: SmokeRunner, listener: ApplyListener
) -> ApplyResult:
    """Run the plan's steps, wait until workers are ready, and send the smoke job.

    If the wait or the smoke job fails after workers were updated, every group goes back to its previous version. Raises
    NotThisFleet before the first step when the plan is blocked, and DeployError when a step fails. The next apply
    continues from there.
    """
    plan.check()
    since = time.time()
    for step in plan.steps:
        execution.run(step)
        listener.step_done(step)
    execution.record_previous_versions()
    if fleet.endpoint.state != "active":
        return ApplyResult(len(plan.steps))
    updates = plan.has(Action.UPDATE_WORKERS)
    if _update_late_workers(execution, account, plan, listener):
        updates, since = True, since if updates else math.inf
    fresh = updates or plan.has(Action.CREATE_ENDPOINT, Action.CREATE_GROUP, Action.SET_STATE)
    check = _Check(smoke, since if updates else None, fresh)
    result = _check_workers(execution, account, fleet, check, listener)
    if result.ok or not updates:
        return ApplyResult(len(plan.steps), result.progress, result.smoke, result.problem)
    failed = ApplyResult(len(plan.steps), result.progress, None, result.problem)
    return _roll_back(execution, account, failed, listener)


@dataclass(frozen=True, slots=True)
class _Check:
    """The check after the steps.

    `since` is the time (epoch seconds) of the update of the workers, or None without an update. `fresh` is True
    when workers have to start: then stopped workers do not count as ready, and the smoke job is always sent.
    """

    smoke: SmokeRunner
    since: float | None
    fresh: bool


def _check_workers(
    execution: Execution, account: Account, fleet: Fleet, check: _Check, listener: ApplyListener
) -> ApplyResult:
    """Wait until enough workers are ready, then send the smoke job.

    The smoke job is left out when nothing changed and the workers were ready at the first count.
    """
    if execution.endpoint is None or execution.template is None:
        raise DeployError("there is no endpoint whose workers could get ready")
    counts: list[ReadinessProgress] = []

    def report(progress: ReadinessProgress) -> None:
        counts.append(progress)
        listener.waiting(progress)

    version = None if check.since is None else TemplateVersion(execution.template.hash, check.since)
    progress = wait_until_ready(
        account, execution.endpoint, version, fleet.readiness, report, stopped_counts=not check.fresh
    )
    if not progress.done:
        return ApplyResult(0, progress, problem=f"after {fleet.readiness.limit_s:g} s: {_with_errors(progress)}")
    if check.smoke is None or (not check.fresh and len(counts) == 1):
        return ApplyResult(0, progress)
    try:
        result = check.smoke()
    except DeployError as error:
        return ApplyResult(0, progress, problem=f"the smoke job failed: {error}")
    listener.message(f"smoke job: {result}")
    return ApplyResult(0, progress, result)


def _with_errors(progress: ReadinessProgress) -> str:
    """Return the progress as text, with the ids of workers in error."""
    errors = f"; in error: {', '.join(map(str, progress.errors))}" if progress.errors else ""
    return f"{progress}{errors}"


def _update_late_workers(execution: Execution, account: Account, plan: Plan, listener: ApplyListener) -> bool:
    """Update workers that an interrupted apply left at the previous version; return whether there were any."""
    updated = {step.name for step in plan.steps if step.action is Action.UPDATE_WORKERS}
    previous = {name: version for name, version in execution.previous_versions.items() if name not in updated}
    if not previous or not any(instance.template_hash in previous.values() for instance in account.instances()):
        return False
    listener.message("some workers still run the previous version: they are updated again")
    for name in previous:
        account.update_workers(execution.groups[name])
    return True


def _roll_back(execution: Execution, account: Account, failed: ApplyResult, listener: ApplyListener) -> ApplyResult:
    """Return every group to its previous version. A group without one stays as it is."""
    groups = {group.id: group for group in execution.groups.values()}
    targets = {execution.groups[name].id: version for name, version in execution.previous_versions.items()}
    if not targets:
        return failed
    listener.message(f"{failed.problem}: rolling back to the previous version")
    roll_back(account, targets, groups, listener.message)
    return ApplyResult(failed.steps, failed.progress, None, failed.problem, tuple(execution.previous_versions))
