"""Waiting until enough workers serve: each of them idle, measured, of the wanted version, and none in error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.backoff import Backoff
from worker.fleet.definition.fleet import ReadinessRules
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import EndpointRow, WorkerRow

LOOK_AGAIN = Backoff(1.5, 6.0, factor=1.5)
TICK_S = 0.5
"""The longest sleep, so that a display goes on meanwhile."""
STOPPED = "stopped"
EPOCH = 1e9
"""A time above it is one of the clock and not a number of seconds."""


@dataclass(frozen=True, slots=True)
class ReadinessProgress:
    """`states` counts workers by status; `late` are those that still run another version."""

    ready: int
    wanted: int
    states: tuple[tuple[str, int], ...]
    errors: tuple[int, ...] = ()
    late: int = 0
    waited_s: float = 0.0

    @property
    def done(self) -> bool:
        return self.ready >= self.wanted and not self.errors

    def __str__(self) -> str:
        states = ", ".join(f"{count} {status}" for status, count in self.states) or "no workers yet"
        late = f", {self.late} of the former version" if self.late else ""
        return f"{self.ready} of {self.wanted} ready ({states}{late})"


@dataclass
class ReadinessWatch:
    """What was seen so far. A worker that was ready once may have been stopped since for want of work: it counts."""

    wanted: int
    stopped_counts: bool = False
    _ready: set[int] = field(default_factory=set)

    def look(self, rows: Sequence[WorkerRow], late: frozenset[int], waited_s: float = 0.0) -> ReadinessProgress:
        errors = tuple(row.id for row in rows if row.error)
        here = {row.id for row in rows if not row.error} - late
        self._ready &= here
        self._ready |= {row.id for row in rows if row.id in here and self.serves(row)}
        states = tuple(sorted(Counter(row.status for row in rows).items()))
        return ReadinessProgress(len(self._ready), self.wanted, states, errors, len(late), waited_s)

    def serves(self, row: WorkerRow) -> bool:
        return row.ready or (self.stopped_counts and row.status == STOPPED)


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """The template that workers should have, and since when they were told (epoch seconds; infinite: not known)."""

    hash: str
    since: float

    def late(self, account: Account, rows: Sequence[WorkerRow]) -> frozenset[int]:
        """Workers that are known to run another one. A worker has its instance's id.

        Whether an update in place changes what an instance says is unknown, so one loaded since then is taken as new.
        """
        hashes = {one.id: one.template_hash for one in account.instances()}
        others = {row.id for row in rows if hashes.get(row.id, "") not in ("", self.hash)}
        return frozenset(row.id for row in rows if row.id in others and not self._loaded_since(row))

    def _loaded_since(self, row: WorkerRow) -> bool:
        loaded = row.raw.get("loaded_at")
        return isinstance(loaded, int | float) and loaded > max(self.since, EPOCH)


def wait_until_ready(
    account: Account,
    endpoint: EndpointRow,
    version: TemplateVersion | None,
    readiness: ReadinessRules,
    tell: Callable[[ReadinessProgress], None],
    *,
    stopped_counts: bool = False,
) -> ReadinessProgress:
    """The last look: `done`, or what it was when the time was over. Asks seldom, because Vast limits how often.

    Without a `version` any will do: there was none before.
    """
    watch, began = ReadinessWatch(readiness.workers, stopped_counts), time.monotonic()
    pauses = LOOK_AGAIN.pauses()
    while True:
        progress = _look(account, endpoint, version, watch, time.monotonic() - began)
        tell(progress)
        left = readiness.limit_s - (time.monotonic() - began)
        if progress.done or left <= 0:
            return progress
        _sleep(min(next(pauses), left))


def _look(
    account: Account, endpoint: EndpointRow, version: TemplateVersion | None, watch: ReadinessWatch, waited_s: float
) -> ReadinessProgress:
    """Versions are asked for only where there are two of them and they decide."""
    rows = account.workers(endpoint)
    serving = any(watch.serves(row) for row in rows)
    late = version.late(account, rows) if version and serving else frozenset[int]()
    return watch.look(rows, late, waited_s)


def _sleep(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        time.sleep(min(rest, TICK_S))
