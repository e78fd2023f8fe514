"""Applying a plan: run its steps, wait for ready workers, send a smoke job, and roll back if one of them fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        """Receive a step after it was run."""

    def waiting(self, progress: ReadinessProgress) -> None:
        """Receive each count of the workers."""

    def message(self, text: str) -> None:
        """Receive a sentence for the user."""


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
        """Whether the account matches the file, the workers are ready, and the smoke job, if any, succeeded."""
        return not self.problem


SmokeRunner = Callable[[], SmokeResult] | None
"""Sends the smoke job and waits for its result; raises DeployError when it fails. None means no smoke job."""


def apply(
    execution: Execution, account: Account, fleet: Fleet, plan: Plan, smoke: SmokeRunner, listener: ApplyListener
) -> ApplyResult:
    """Run the plan's steps, wait until workers are ready, and send the smoke job.

    If the wait or the smoke job fails after workers were updated, every group goes back to its previous version. The
    result has the reason then. An endpoint that is not active has no workers to wait for. Raises NotThisFleet before
    the first step when the plan is blocked, and DeployError when a step fails. The next apply continues there.
    """
    plan.check()
    started_at = time.time()
    for step in plan.steps:
        execution.run(step)
        listener.step_done(step)
    execution.record_previous_versions()
    if fleet.endpoint.state != "active":
        return ApplyResult(len(plan.steps))
    updated_since = started_at if plan.has(Action.UPDATE_WORKERS) else None
    if _update_outdated_workers(execution, account, plan, listener) and updated_since is None:
        updated_since = math.inf  # an earlier apply has changed the groups, at an unknown time
    workers_start = plan.has(Action.CREATE_ENDPOINT, Action.CREATE_GROUP, Action.SET_STATE)
    check = _Check(smoke, updated_since, updated_since is not None or workers_start)
    result = replace(_check_workers(execution, account, fleet, check, listener), steps=len(plan.steps))
    if result.ok or updated_since is None:
        return result
    return _roll_back(execution, account, result, listener)


@dataclass(frozen=True, slots=True)
class _Check:
    """The check after the steps.

    `updated_since` is the time (epoch seconds) of the update of the workers, infinity if the time is unknown, and None
    without an update. `workers_start` is True when workers have to start: in that case, stopped workers do not count as
    ready, and the smoke job is always sent.
    """

    smoke: SmokeRunner
    updated_since: float | None
    workers_start: bool


def _check_workers(
    execution: Execution, account: Account, fleet: Fleet, check: _Check, listener: ApplyListener
) -> ApplyResult:
    """Wait until enough workers are ready, send the smoke job, and return the result with 0 steps.

    The result has the problem if too few workers got ready in time or the smoke job failed. No smoke job is sent when
    no worker had to start and enough were ready at the first count.
    """
    if execution.endpoint is None or execution.template is None:
        raise DeployError("there is no endpoint whose workers could get ready")
    counts: list[ReadinessProgress] = []

    def report(progress: ReadinessProgress) -> None:
        counts.append(progress)
        listener.waiting(progress)

    version = None if check.updated_since is None else TemplateVersion(execution.template.hash, check.updated_since)
    progress = wait_until_ready(
        account, execution.endpoint, version, fleet.readiness, report, count_stopped=not check.workers_start
    )
    if not progress.done:
        return ApplyResult(0, progress, problem=f"after {fleet.readiness.limit_s:g} s: {_with_errors(progress)}")
    was_ready_before = not check.workers_start and len(counts) == 1
    if check.smoke is None or was_ready_before:
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


def _update_outdated_workers(execution: Execution, account: Account, plan: Plan, listener: ApplyListener) -> bool:
    """Update workers that an interrupted apply left at the previous version, and return whether there were any.

    Groups whose workers the plan itself has just updated are left out.
    """
    updated = {step.name for step in plan.steps if step.action is Action.UPDATE_WORKERS}
    previous = {name: version for name, version in execution.previous_versions.items() if name not in updated}
    if not previous or not any(instance.template_hash in previous.values() for instance in account.instances()):
        return False
    listener.message("some workers still run the previous version: they are updated again")
    for name in previous:
        account.update_workers(execution.groups[name])
    return True


def _roll_back(execution: Execution, account: Account, failed: ApplyResult, listener: ApplyListener) -> ApplyResult:
    """Set every group that has a previous version back to it. Return `failed` with the names of these groups."""
    groups = {group.id: group for group in execution.groups.values()}
    hashes = {execution.groups[name].id: version for name, version in execution.previous_versions.items()}
    if not hashes:
        return failed
    listener.message(f"{failed.problem}: rolling back to the previous version")
    roll_back(account, hashes, groups, listener.message)
    return replace(failed, smoke=None, rolled_back=tuple(execution.previous_versions))
