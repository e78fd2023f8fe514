"""One run of a candidate, and what a search has to know of it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from worker.fleet.advice.candidate import Candidate
from worker.fleet.advice.spaces.search_space import SearchSpace
from worker.fleet.advice.target import AdviceTarget
from worker.fleet.simulation.policy import FleetTarget, FleetView, ScalingPolicy
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.study.billing import StudyPrices, study_prices
from worker.fleet.simulation.summary import FleetSummary, summarise
from worker.prices.figure import MONTH_S
from worker.prices.table import PriceTable

COARSE = 3
"""Factor by which the autoscaler decides less often in a coarse trial."""


@dataclass(frozen=True, slots=True)
class TrialKey:
    """What a run depends on: the candidate, the reading of the platform, and the seed.

    With `is_coarse`, the autoscaler decides only every third time, which is faster and a little slower to react.
    """

    candidate: Candidate
    reading: str
    seed: int
    is_coarse: bool = False


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of a run.

    Attributes:
        summary: Its figures.
        late: Share of the jobs that waited for longer than the target, or failed. 0 without a target.
        usd_month: Its dollars, scaled to a month of 30 days.
        unpriced: Items that were used but have no known price.
    """

    summary: FleetSummary
    late: float
    usd_month: float
    unpriced: tuple[str, ...] = ()


@dataclass(slots=True)
class TrialRunner:
    """Runs candidates of one search.

    Attributes:
        space: The candidates and the trace.
        target: The goal of the search.
        table: The prices.
        today: Date of the search.
    """

    space: SearchSpace
    target: AdviceTarget
    table: PriceTable
    today: datetime.date
    _prices: dict[str, StudyPrices] = field(default_factory=dict)

    def prices(self, gpu: str) -> StudyPrices:
        """Return what workers with this GPU cost."""
        if gpu not in self._prices:
            self._prices[gpu] = study_prices(self.space.fleet_with(gpu), self.space.platform, self.table, self.today)
        return self._prices[gpu]

    def run(self, key: TrialKey) -> TrialResult:
        """Return the result of a run. Its GPU has to have a price."""
        scenario = replace(self.space.scenario(key.candidate, key.reading), seed=key.seed)
        if key.is_coarse:
            scenario = replace(scenario, policy=partial(_slowed, scenario.policy))
        outcome = simulate(scenario)
        bill = self.prices(key.candidate.gpu).total(outcome.lives, scenario.platform.billed)
        usd = bill.total if bill else 0.0
        summary = summarise(outcome, scenario.platform, usd)
        late = 0.0
        if self.target.wait is not None and outcome.jobs:
            in_time = sum(wait_s <= self.target.wait.seconds for wait_s in outcome.waits_s())
            late = 1 - in_time / len(outcome.jobs)
        month = usd * MONTH_S / outcome.ended_s if outcome.ended_s > 0 else 0.0
        month += self.space.volume_usd_month(self.table, key.candidate.gpu)
        return TrialResult(summary, late, month, bill.unpriced if bill else ())


@dataclass(frozen=True, slots=True)
class SlowedPolicy:
    """An autoscaler that decides less often. Its averages are over the same seconds."""

    policy: ScalingPolicy

    @property
    def tick_s(self) -> float:
        """Seconds between two decisions."""
        return self.policy.tick_s * COARSE

    def decide(self, view: FleetView) -> FleetTarget:
        """Return what the autoscaler wants."""
        return self.policy.decide(view)


def _slowed(policy: Callable[[], ScalingPolicy]) -> ScalingPolicy:
    """Return a new autoscaler that decides less often."""
    return SlowedPolicy(policy())
