"""What became of every scenario, as its client heard it, beside what the engine ran and the worker wrote down."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.clients.client_scenario import ClientScenario, Manner
from chaos.finding import RunFinding, none

ACCEPTED = re.compile(r"job (\S+) accepted, workload")
ENDED = re.compile(r"job (\S+) (completed|failed|cancelled) after")
UNHEARD = "left"
"""The end of a job of which its client can hear no more: it left without an id."""


@dataclass(slots=True)
class LedgerEntry:
    """`heard` are the ends that its client was told, each time it asked; `statuses` every HTTP status."""

    scenario: ClientScenario
    asked_at: float = field(default_factory=time.monotonic)
    ended_at: float = 0.0
    heard: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    left: bool = False
    cancelled: bool = False
    refused: int = 0
    """How often it was told to come back later."""

    def expected(self) -> set[str]:
        ends = {self.scenario.work.end}
        if self.cancelled or self.left:
            ends.add("cancelled")
        return ends

    def overlaps(self, spans: Iterable[tuple[float, float]]) -> bool:
        """Whether its life touches one of these spans of the monotonic clock."""
        return any(self.asked_at < until and since < self.ended_at for since, until in spans)


@dataclass(slots=True)
class JobLedger:
    """`kills`: spans of time in which the engine was gone, or its history not read; a second run needs one."""

    entries: list[LedgerEntry] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)

    def open(self, scenario: ClientScenario) -> LedgerEntry:
        entry = LedgerEntry(scenario)
        self.entries.append(entry)
        return entry

    @property
    def ended(self) -> int:
        return sum(1 for entry in self.entries if entry.ended_at)

    def ends(self) -> Counter[str]:
        return Counter(entry.heard[0] if entry.heard else UNHEARD for entry in self.entries)

    def findings(self, runs: Mapping[int, int]) -> list[RunFinding]:
        """`runs`: how often the engine ran each number."""
        lost = [one.scenario.number for one in self.entries if not one.heard and not one.left]
        vague = [(one.scenario.number, one.heard) for one in self.entries if len(set(one.heard)) > 1]
        wrong = [_told(one) for one in self.entries if one.heard and one.heard[0] not in one.expected()]
        broken = [_told(one) for one in self.entries if any(status >= 500 for status in one.statuses)]
        twice = [(one.scenario.number, ran) for one in self.entries if (ran := runs.get(one.scenario.number, 0)) > 1]
        needless = [pair for pair in twice if not self._needed(pair[0])]
        return [
            none("jobs lost (no end, or a broken answer)", len(lost), lost),
            none("jobs with two different ends", len(vague), vague),
            none("jobs that ended otherwise than they had to", len(wrong), wrong),
            none("answers 5xx", len(broken), broken),
            none("jobs that the engine ran twice without need", len(needless), needless),
            RunFinding("jobs run again because the engine was killed under them", str(len(twice) - len(needless))),
            none("results without a run", len(idle := self._without_run(runs)), idle),
        ]

    def _needed(self, number: int) -> bool:
        return any(one.scenario.number == number and one.overlaps(self.kills) for one in self.entries)

    def _without_run(self, runs: Mapping[int, int]) -> list[int]:
        return [
            one.scenario.number
            for one in self.entries
            if "success" in one.heard and not runs.get(one.scenario.number) and not one.overlaps(self.kills)
        ]


def _told(entry: LedgerEntry) -> tuple[object, ...]:
    scenario = entry.scenario
    return (
        scenario.number,
        scenario.work.name,
        scenario.route.name,
        scenario.manner.name,
        entry.heard,
        entry.statuses[-2:],
    )


def of_log(logs: Sequence[Path]) -> list[RunFinding]:
    """By the worker's own log: every job that was accepted has ended, once."""
    accepted: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for path in logs:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if found := ACCEPTED.search(line):
                    accepted[found[1]] += 1
                elif found := ENDED.search(line):
                    ended[found[1]] += 1
    unlike = [job for job in accepted.keys() | ended.keys() if accepted[job] != ended[job]]
    return [
        RunFinding("jobs accepted, by the worker's log", f"{accepted.total():,}"),
        none("accepted without exactly one end, by the worker's log", len(unlike), unlike),
    ]


def manners(entries: Iterable[LedgerEntry]) -> str:
    """How many did what."""
    counted = Counter(entry.scenario.manner for entry in entries)
    return ", ".join(f"{counted[manner]:,} {manner.value}" for manner in Manner)
