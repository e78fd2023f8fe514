"""Runs the cases of a study with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from worker.fleet.simulation.mean_interval import MeanInterval
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.study.billing import StudyPrices
from worker.fleet.simulation.study.case import StudyCase
from worker.fleet.simulation.study.figures import intervals
from worker.fleet.simulation.summary import FleetSummary, summarise
from worker.prices.bill import Bill


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case with several seeds.

    Attributes:
        case: The case.
        runs: The figures of each seed.
        outcome: Everything about the run of the first seed, for plots.
        bill: Its bill, None without a price.
    """

    case: StudyCase
    runs: tuple[FleetSummary, ...]
    outcome: FleetOutcome
    bill: Bill | None

    @property
    def figures(self) -> dict[str, MeanInterval | None]:
        """The figures with their intervals over the seeds, by key."""
        return intervals(self.runs)


@dataclass(frozen=True, slots=True)
class Study:
    """The results of all cases, and the prices behind them."""

    results: tuple[CaseResult, ...]
    prices: StudyPrices

    @property
    def figures(self) -> Mapping[str, Mapping[str, MeanInterval | None]]:
        """The figures of each case by its name."""
        return {result.case.name: result.figures for result in self.results}

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Items that were used but have no known price, so that they are missing in the dollars."""
        names = [name for result in self.results if result.bill for name in result.bill.unpriced]
        return tuple(dict.fromkeys(names))


def run_study(cases: Sequence[StudyCase], prices: StudyPrices, seeds: int) -> Study:
    """Return the study of these cases. Takes about 20 microseconds for each job, case and seed."""
    return Study(tuple(run_case(case, prices, seeds) for case in cases), prices)


def run_case(case: StudyCase, prices: StudyPrices, seeds: int) -> CaseResult:
    """Return the result of one case, simulated with the seeds from 1 on."""
    platform = case.scenario.platform
    runs: list[FleetSummary] = []
    first: tuple[FleetOutcome, Bill | None] | None = None
    for seed in range(1, seeds + 1):
        outcome = simulate(replace(case.scenario, seed=seed))
        bill = prices.total(outcome.lives, platform.billed)
        runs.append(summarise(outcome, platform, bill.total if bill else None))
        first = first or (outcome, bill)
    if first is None:
        raise ValueError("a study needs at least one seed")
    return CaseResult(case, tuple(runs), *first)
