"""Waiting until enough workers are ready: idle, measured, of the right template version, and none in error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.backoff import Backoff
from worker.fleet.definition.fleet import ReadinessRules
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import EndpointRow, WorkerRow

POLL_PAUSES = Backoff(1.5, 6.0, factor=1.5)
TICK_S = 0.5
"""Longest single sleep in seconds, so that a progress display keeps moving."""
STOPPED = "stopped"
EPOCH = 1e9
"""A time above this is a date in epoch seconds, and not a duration."""


@dataclass(frozen=True, slots=True)
class ReadinessProgress:
    """One count of the workers: `ready` of `wanted`, how many have each status, and the ids of those in error.

    `outdated` is the number of workers that still run another template version.
    """

    ready: int
    wanted: int
    states: tuple[tuple[str, int], ...]
    errors: tuple[int, ...] = ()
    outdated: int = 0
    waited_s: float = 0.0

    @property
    def done(self) -> bool:
        """Whether enough workers are ready and none is in error."""
        return self.ready >= self.wanted and not self.errors

    def __str__(self) -> str:
        states = ", ".join(f"{count} {status}" for status, count in self.states) or "no workers yet"
        outdated = f", {self.outdated} of the previous version" if self.outdated else ""
        return f"{self.ready} of {self.wanted} ready ({states}{outdated})"


@dataclass
class ReadinessTracker:
    """The workers that were ready at any count so far.

    A worker that was ready once still counts when it is stopped for lack of work. `wanted` is the number of ready
    workers to wait for.
    """

    wanted: int
    count_stopped: bool = False
    """Whether a stopped worker counts even if it was never seen ready."""
    _ready: set[int] = field(default_factory=set)

    def update(self, rows: Sequence[WorkerRow], outdated: frozenset[int], waited_s: float = 0.0) -> ReadinessProgress:
        """Count these rows and return the progress. `outdated` are the ids of workers with another template version.

        `waited_s` is the time since the first count, which is only passed on to the progress.
        """
        errors = tuple(row.id for row in rows if row.error)
        countable = {row.id for row in rows if not row.error} - outdated
        self._ready &= countable
        self._ready |= {row.id for row in rows if row.id in countable and self.is_ready(row)}
        states = tuple(sorted(Counter(row.status for row in rows).items()))
        return ReadinessProgress(len(self._ready), self.wanted, states, errors, len(outdated), waited_s)

    def is_ready(self, row: WorkerRow) -> bool:
        """Return whether the worker is ready now, or is stopped and stopped workers count."""
        return row.ready or (self.count_stopped and row.status == STOPPED)


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """The template version that workers should have.

    `since` is the time in epoch seconds of their update, or infinity when it is not known.
    """

    hash: str
    since: float

    def outdated_workers(self, account: Account, rows: Sequence[WorkerRow]) -> frozenset[int]:
        """Return the ids of the workers that still run another version. A worker has the id of its instance.

        It is unknown whether an update in place changes the hash in Vast's list of instances. So a worker that was
        loaded after `since` counts as updated.
        """
        hashes = {instance.id: instance.template_hash for instance in account.instances()}
        with_other_hash = {row.id for row in rows if hashes.get(row.id, "") not in ("", self.hash)}
        return frozenset(row.id for row in rows if row.id in with_other_hash and not self._loaded_since(row))

    def _loaded_since(self, row: WorkerRow) -> bool:
        """Return whether the worker was loaded after the update.

        A small number is not a date in epoch seconds, and is ignored.
        """
        loaded_at = row.raw.get("loaded_at")
        return isinstance(loaded_at, int | float) and loaded_at > max(self.since, EPOCH)


def wait_until_ready(
    account: Account,
    endpoint: EndpointRow,
    version: TemplateVersion | None,
    readiness: ReadinessRules,
    report: Callable[[ReadinessProgress], None],
    *,
    count_stopped: bool = False,
) -> ReadinessProgress:
    """Count the workers until enough are ready or `readiness.limit_s` is over, and return the last count.

    Each count is passed to `report`. The pauses are seconds long, because Vast limits the rate of calls. Without a
    `version`, workers of every template version count. With `count_stopped`, stopped workers count as ready.
    """
    tracker, started = ReadinessTracker(readiness.workers, count_stopped), time.monotonic()
    pauses = POLL_PAUSES.pauses()
    while True:
        progress = _count(account, endpoint, version, tracker, time.monotonic() - started)
        report(progress)
        remaining_s = readiness.limit_s - (time.monotonic() - started)
        if progress.done or remaining_s <= 0:
            return progress
        _sleep(min(next(pauses), remaining_s))


def _count(
    account: Account, endpoint: EndpointRow, version: TemplateVersion | None, tracker: ReadinessTracker, waited_s: float
) -> ReadinessProgress:
    """Count the workers once. The instances' versions are only requested if a worker is ready and its version matters.

    `waited_s` is the time since the first count.
    """
    rows = account.workers(endpoint)
    any_ready = any(tracker.is_ready(row) for row in rows)
    outdated = version.outdated_workers(account, rows) if version and any_ready else frozenset[int]()
    return tracker.update(rows, outdated, waited_s)


def _sleep(seconds: float) -> None:
    """Sleep in short steps, so that a progress display keeps moving."""
    end = time.monotonic() + seconds
    while (remaining := end - time.monotonic()) > 0:
        time.sleep(min(remaining, TICK_S))
