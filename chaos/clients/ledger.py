"""The ledger of all scenarios: what each client received, compared with the engines' histories and the worker's log."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.clients.client_scenario import Behavior, ClientScenario
from chaos.finding import RunFinding, expect_none, fact

ACCEPTED = re.compile(r"job (\S+) accepted, workload")
ENDED = re.compile(r"job (\S+) (completed|failed|cancelled) after")
ABANDONED = "left"
"""The end of a job whose client left without an id, so that it cannot receive the result."""


@dataclass(slots=True)
class LedgerEntry:
    """One scenario. `ends` are all ends that its client received, `statuses` all HTTP statuses."""

    scenario: ClientScenario
    started_at: float = field(default_factory=time.monotonic)
    ended_at: float = 0.0
    ends: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    left: bool = False
    cancelled: bool = False
    retries: int = 0
    """Number of responses after which the client had to try again later."""

    def expected_ends(self) -> set[str]:
        """Return the ends that the job may have."""
        ends = {self.scenario.work.end}
        if self.cancelled or self.left:
            ends.add("cancelled")
        return ends

    def overlaps(self, spans: Iterable[tuple[float, float]]) -> bool:
        """Return whether the scenario overlaps one of these spans of the monotonic clock."""
        return any(self.started_at < end and start < self.ended_at for start, end in spans)


@dataclass(slots=True)
class JobLedger:
    """All scenarios of a run.

    `kills` are the spans in which an engine was down or its history was not read. Only a job that overlaps one of them
    may run twice.
    """

    entries: list[LedgerEntry] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)

    def open(self, scenario: ClientScenario) -> LedgerEntry:
        """Add an entry for a scenario and return it."""
        entry = LedgerEntry(scenario)
        self.entries.append(entry)
        return entry

    @property
    def ended(self) -> int:
        """The number of scenarios that have ended."""
        return sum(1 for entry in self.entries if entry.ended_at)

    def end_counts(self) -> Counter[str]:
        """Return how many jobs had each end."""
        return Counter(entry.ends[0] if entry.ends else ABANDONED for entry in self.entries)

    def findings(self, runs: Mapping[int, int]) -> list[RunFinding]:
        """Return the findings over all entries. `runs` is the number of runs by scenario number."""
        entries = self.entries
        lost = [entry.scenario.number for entry in entries if not entry.ends and not entry.left]
        inconsistent = [(entry.scenario.number, entry.ends) for entry in entries if len(set(entry.ends)) > 1]
        wrong = [_summary(entry) for entry in entries if entry.ends and entry.ends[0] not in entry.expected_ends()]
        server_errors = [_summary(entry) for entry in entries if any(status >= 500 for status in entry.statuses)]
        counts = ((entry, runs.get(entry.scenario.number, 0)) for entry in entries)
        twice = [(entry.scenario.number, count) for entry, count in counts if count > 1]
        needless = [pair for pair in twice if not self._overlaps_a_kill(pair[0])]
        without_run = self._successes_without_run(runs)
        return [
            expect_none("lost jobs (no end, or a broken response)", len(lost), lost),
            expect_none("jobs with two different ends", len(inconsistent), inconsistent),
            expect_none("jobs with an unexpected end", len(wrong), wrong),
            expect_none("5xx responses", len(server_errors), server_errors),
            expect_none("jobs that the engine ran twice without need", len(needless), needless),
            fact("jobs run again because their engine was killed", len(twice) - len(needless)),
            expect_none("results without a run", len(without_run), without_run),
        ]

    def _overlaps_a_kill(self, number: int) -> bool:
        """Return whether an engine was killed during the life of a job."""
        return any(entry.scenario.number == number and entry.overlaps(self.kills) for entry in self.entries)

    def _successes_without_run(self, runs: Mapping[int, int]) -> list[int]:
        """Return the numbers of successful jobs that no engine has run."""
        return [
            entry.scenario.number
            for entry in self.entries
            if "success" in entry.ends and not runs.get(entry.scenario.number) and not entry.overlaps(self.kills)
        ]


def _summary(entry: LedgerEntry) -> tuple[object, ...]:
    """Return what an example in a finding shows of an entry."""
    scenario = entry.scenario
    return (
        scenario.number,
        scenario.work.name,
        scenario.route.name,
        scenario.behavior.name,
        entry.ends,
        entry.statuses[-2:],
    )


def log_findings(logs: Sequence[Path]) -> list[RunFinding]:
    """Return the findings of the worker's log: every accepted job must have exactly one end."""
    accepted: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for path in logs:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if match := ACCEPTED.search(line):
                    accepted[match[1]] += 1
                elif match := ENDED.search(line):
                    ended[match[1]] += 1
    different = [job for job in accepted.keys() | ended.keys() if accepted[job] != ended[job]]
    return [
        fact("accepted jobs in the worker's log", accepted.total()),
        expect_none("accepted jobs without exactly one end in the worker's log", len(different), different),
    ]


def behavior_counts(entries: Iterable[LedgerEntry]) -> str:
    """Return how many clients had each behavior, as text."""
    counts = Counter(entry.scenario.behavior for entry in entries)
    return ", ".join(f"{counts[behavior]:,} {behavior.value}" for behavior in Behavior)
