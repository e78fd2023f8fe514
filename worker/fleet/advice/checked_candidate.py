"""What a candidate does in each reading, on seeds that the search has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.fleet.advice.candidate import Candidate
from worker.fleet.advice.target import AdviceTarget
from worker.fleet.advice.trial import TrialResult
from worker.fleet.simulation.mean_interval import MeanInterval


@dataclass(frozen=True, slots=True)
class ReadingResult:
    """A candidate in one reading.

    Attributes:
        name: Name of the reading.
        wait_s: The wait of the target's quantile over the seeds.
        usd_month: Dollars a month over the seeds.
        kept: Seeds that keep the target.
        seeds: All seeds.
    """

    name: str
    wait_s: MeanInterval
    usd_month: MeanInterval
    kept: int
    seeds: int

    @classmethod
    def of(cls, name: str, trials: Sequence[TrialResult], target: AdviceTarget) -> ReadingResult:
        """Return the result of these trials."""
        waits = [target.wait_s(trial.summary.waits) for trial in trials]
        usd = [trial.usd_month for trial in trials]
        kept = sum(
            (target.wait is None or wait_s <= target.wait.seconds)
            and (target.budget is None or dollars <= target.budget)
            for wait_s, dollars in zip(waits, usd, strict=True)
        )
        return cls(name, MeanInterval.of(waits), MeanInterval.of(usd), kept, len(trials))


@dataclass(frozen=True, slots=True)
class CheckedCandidate:
    """A candidate with its results.

    Attributes:
        candidate: The candidate.
        results: One for each reading.
        trials: The runs behind them, by reading.
    """

    candidate: Candidate
    results: tuple[ReadingResult, ...]
    trials: Mapping[str, Sequence[TrialResult]]

    @classmethod
    def of(
        cls, candidate: Candidate, trials: Mapping[str, Sequence[TrialResult]], target: AdviceTarget
    ) -> CheckedCandidate:
        """Return a candidate with the results of these runs."""
        results = tuple(ReadingResult.of(name, runs, target) for name, runs in trials.items())
        return cls(candidate, results, trials)

    @property
    def is_kept(self) -> bool:
        """Whether more than half of the seeds of every reading keep the target."""
        return all(2 * result.kept > result.seeds for result in self.results)

    @property
    def usd_range(self) -> tuple[float, float]:
        """Lowest and highest mean dollars a month of the readings."""
        means = [result.usd_month.mean for result in self.results]
        return min(means), max(means)

    @property
    def wait_range(self) -> tuple[float, float]:
        """Lowest and highest mean wait of the readings."""
        means = [result.wait_s.mean for result in self.results]
        return min(means), max(means)

    def result(self, reading: str) -> ReadingResult:
        """Return the result in one reading. Raises StopIteration for a reading without one."""
        return next(result for result in self.results if result.name == reading)
