"""Finds the advice: the search over GPUs and parameters, and the check on other seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.errors import UnknownPrice
from worker.fleet.advice.candidate import Candidate
from worker.fleet.advice.checked_candidate import CheckedCandidate
from worker.fleet.advice.search import CandidateSearch
from worker.fleet.advice.target import AdviceTarget
from worker.fleet.advice.trial import TrialRunner
from worker.fleet.advice.trial_pool import TrialPool, trial_pool

SEARCH_SEEDS = (1, 2, 3)
"""Seeds with which a choice has to keep the target before it is advised. The first one is searched with."""
FIRST_CHECK_SEED = 1001
"""The first seed of the check. The search has not seen it, so it is not better there by its own choice."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The result.

    Attributes:
        target: What was to be reached.
        present: What the fleet file has now, None if its GPU has no price.
        checked: The advice: the cheapest choice that keeps the target in every reading, or what comes nearest.
        within_budget: The shortest waits within the budget, if `checked` keeps the target and exceeds the budget.
        known: For each reading, the choice if one knew that it is right.
        gpus: GPUs that were compared.
        unpriced_gpus: GPUs of the fleet file without a price.
        runs: Simulated runs.
    """

    target: AdviceTarget
    present: CheckedCandidate | None
    checked: CheckedCandidate
    within_budget: CheckedCandidate | None
    known: Mapping[str, CheckedCandidate]
    gpus: tuple[str, ...]
    unpriced_gpus: tuple[str, ...]
    runs: int

    @property
    def is_reached(self) -> bool:
        """Whether the choice keeps the target."""
        return self.checked.is_kept


def advise(runner: TrialRunner, gpus: Sequence[str], seeds: int, progress: Callable[[int], None]) -> Advice:
    """Return the advice for workers with one of these GPUs, checked with `seeds` seeds.

    `progress` is called with the number of runs so far. Raises UnknownPrice when no GPU has a price.
    """
    priced = [gpu for gpu in gpus if runner.prices(gpu).figure is not None]
    if not priced:
        raise UnknownPrice(runner.prices(gpus[0]).problem)
    with trial_pool(runner, progress) as pool:
        adviser = Adviser(runner, pool, tuple(range(FIRST_CHECK_SEED, FIRST_CHECK_SEED + seeds)))
        return adviser.advice(priced, tuple(gpu for gpu in gpus if gpu not in priced))


@dataclass(frozen=True, slots=True)
class Adviser:
    """One search for advice. `check_seeds` are those of the figures that are shown."""

    runner: TrialRunner
    pool: TrialPool
    check_seeds: tuple[int, ...]

    def advice(self, gpus: Sequence[str], unpriced: tuple[str, ...]) -> Advice:
        """Return the advice for these GPUs, which have prices."""
        target, present = self.runner.target, self.runner.space.present()
        choice = self._choice(target, gpus)
        by_reading = {name: self._known(name, choice) for name in self.runner.space.readings}
        careful = self._search(target).exactly(SEARCH_SEEDS)
        choice = careful.best([choice, *by_reading.values()])
        checked, within_budget = self._checked(choice), None
        if target.wait is not None and target.budget is not None and not checked.is_kept:
            within_budget = self._checked(self._choice(target.budget_alone, gpus))
        known = {
            name: self._search(target, [name]).exactly(SEARCH_SEEDS).best([choice, found])
            for name, found in by_reading.items()
        }
        return Advice(
            target=target,
            present=self._checked(present) if present.gpu in gpus else None,
            checked=checked,
            within_budget=within_budget,
            known={name: self._checked(found, [name]) for name, found in known.items()},
            gpus=tuple(gpus),
            unpriced_gpus=unpriced,
            runs=len(self.pool.trials),
        )

    def _search(self, target: AdviceTarget, readings: Sequence[str] = ()) -> CandidateSearch:
        """Return a coarse search in these readings, all by default."""
        space = self.runner.space
        return CandidateSearch(space, target, self.pool, tuple(readings or space.readings), is_coarse=True)

    def _choice(self, target: AdviceTarget, gpus: Sequence[str]) -> Candidate:
        """Return the best candidate in the worst reading: coarsely for each GPU, then exactly, then for more seeds."""
        space, coarse = self.runner.space, self._search(target)
        first, *others = gpus
        present = space.moved(space.present(), first) if space.present().gpu != first else space.present()
        starts = [present, *space.starts(first)]
        found = [coarse.descend(coarse.best(starts))]
        for gpu in others:
            moved = space.moved(coarse.best(found), gpu)
            found.append(coarse.descend(coarse.best([moved, *space.starts(gpu)]), passes=1))
        exact = coarse.exactly(SEARCH_SEEDS[:1])
        best = space.tidy(exact.descend(exact.best(found), passes=1))
        careful = coarse.exactly(SEARCH_SEEDS)
        (score,) = careful.scores([best])
        return space.tidy(careful.descend(best, passes=2)) if score.missed else best

    def _known(self, reading: str, choice: Candidate) -> Candidate:
        """Return the best choice for one reading, which is that for all of them if nothing else is better."""
        coarse = self._search(self.runner.target, [reading])
        searched = self.runner.space.tidy(coarse.descend(choice, passes=2))
        return coarse.exactly(SEARCH_SEEDS).best([choice, searched])

    def _checked(self, candidate: Candidate, readings: Sequence[str] = ()) -> CheckedCandidate:
        """Return the results of a candidate with the seeds of the check."""
        check = self._search(self.runner.target, readings).exactly(self.check_seeds)
        return CheckedCandidate.of(candidate, check.trials(candidate), self.runner.target)
