"""Regret: how many more GPU hours a report needs than the best of all reports, for the same waits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.fleet.reports.cases import PATTERNS, READINGS, ReportCase
from bench.fleet.reports.tuning import TunedFleet
from worker.fleet.simulation.mean_interval import MeanInterval
from worker.fleet.simulation.policies.vast_readings import VastReading


@dataclass(frozen=True, slots=True)
class Setting:
    """A reading of the autoscaler and a pattern of arrivals: what an operator does not choose."""

    reading: VastReading
    pattern: str

    def __str__(self) -> str:
        """Return the letter of the reading and the pattern."""
        return f"{READINGS[self.reading]}, {self.pattern}"


class Regrets:
    """The tuned fleets of all reports in all settings."""

    def __init__(self, fleets: Sequence[TunedFleet]) -> None:
        self._by_key: dict[tuple[Setting, str, int], TunedFleet] = {
            (Setting(each.task.reading, each.task.pattern), each.task.case.name, each.task.seed): each
            for each in fleets
        }
        self.seeds = sorted({each.task.seed for each in fleets})
        self.cases: Mapping[str, ReportCase] = {each.task.case.name: each.task.case for each in fleets}
        found = {setting for setting, _, _ in self._by_key}
        every = [Setting(reading, pattern) for reading in READINGS for pattern in PATTERNS]
        self.settings = [setting for setting in every if setting in found]

    def fleets(self, setting: Setting, case: str) -> list[TunedFleet]:
        """Return the tuned fleet of each seed."""
        return [self._by_key[setting, case, seed] for seed in self.seeds]

    def gpu_hours(self, setting: Setting, case: str) -> MeanInterval:
        """Return the GPU hours of a report."""
        return MeanInterval.of([each.gpu_hours for each in self.fleets(setting, case)])

    def regret(self, setting: Setting, case: str) -> MeanInterval:
        """Return the regret of a report, as a share. Each seed is compared with the best report of the same seed."""
        return MeanInterval.of([self._regret(setting, case, seed) for seed in self.seeds])

    def worst(self, case: str, reading: VastReading | None = None) -> MeanInterval:
        """Return the largest regret over all patterns, of one reading or of all."""
        settings = [each for each in self.settings if reading in (None, each.reading)]
        return max((self.regret(setting, case) for setting in settings), key=lambda regret: regret.mean)

    def best(self, cases: Sequence[ReportCase], reading: VastReading | None = None) -> list[ReportCase]:
        """Return the reports in the order of their largest regret."""
        return sorted(cases, key=lambda case: self.worst(case.name, reading).mean)

    def cheapest(self, setting: Setting) -> str:
        """Return the name of the report with the fewest GPU hours in the mean."""
        return min(self.cases, key=lambda case: self.gpu_hours(setting, case).mean)

    def _regret(self, setting: Setting, case: str, seed: int) -> float:
        """Return the regret with one seed."""
        best = min(self._by_key[setting, other, seed].gpu_hours for other in self.cases)
        hours = self._by_key[setting, case, seed].gpu_hours
        return hours / best - 1 if math.isfinite(hours) else math.inf
