"""The search: coordinate descent from several starts, with the readings and seeds that a choice has to hold in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.fleet.advice.candidate import Candidate
from worker.fleet.advice.score import Score, score_of
from worker.fleet.advice.spaces.search_space import SearchSpace
from worker.fleet.advice.target import AdviceTarget
from worker.fleet.advice.trial import Trial, TrialKey
from worker.fleet.advice.trial_pool import TrialPool

MOST_PASSES = 4


@dataclass(frozen=True, slots=True)
class CandidateSearch:
    """A search for the best candidate in some readings with some seeds."""

    space: SearchSpace
    target: AdviceTarget
    pool: TrialPool
    readings: tuple[str, ...]
    seeds: tuple[int, ...] = (1,)
    is_coarse: bool = False

    def key(self, candidate: Candidate, reading: str, seed: int) -> TrialKey:
        """Return what a trial of this search depends on."""
        return TrialKey(candidate, reading, seed, self.is_coarse)

    def keys(self, candidate: Candidate) -> list[TrialKey]:
        """Return the trials that a score needs."""
        return [self.key(candidate, reading, seed) for seed in self.seeds for reading in self.readings]

    def trials(self, candidate: Candidate) -> dict[str, list[Trial]]:
        """Return the results of a candidate in each reading."""
        self.pool.need(self.keys(candidate))
        found, key = self.pool.trials, self.key
        return {name: [found[key(candidate, name, seed)] for seed in self.seeds] for name in self.readings}

    def scores(self, candidates: Sequence[Candidate]) -> list[Score]:
        """Return the scores of several candidates, whose trials run at the same time."""
        self.pool.need(key for candidate in candidates for key in self.keys(candidate))
        return [score_of(self.trials(candidate), self.target) for candidate in candidates]

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the best of these candidates, the first one of equals."""
        best, best_score = candidates[0], self.scores(candidates)[0]
        for candidate, score in zip(candidates, self.scores(candidates), strict=True):
            if score.is_better(best_score):
                best, best_score = candidate, score
        return best

    def descend(self, start: Candidate, passes: int = MOST_PASSES) -> Candidate:
        """Return the candidate from which no single step of a parameter leads to a better one."""
        best = start
        for _ in range(passes):
            before = best
            for knob in self.space.knobs(start.gpu):
                best = self._along(best, knob.name)
            if best == before:
                break
        return best

    def _along(self, best: Candidate, name: str) -> Candidate:
        """Return the best candidate along one parameter. Steps go on in a direction while they improve."""
        (knob,) = [knob for knob in self.space.knobs(best.gpu) if knob.name == name]
        here = best
        steps = [knob.step(here.value(name), direction) for direction in (-1, 1)]
        around = [here, *(here.having(**{name: value}) for value in steps if value is not None)]
        best = self.best(around)
        if best == here:
            return here
        direction = 1 if knob.rank(best.value(name)) > knob.rank(here.value(name)) else -1
        while (value := knob.step(best.value(name), direction)) is not None:
            following = self.best([best, best.having(**{name: value})])
            if following == best:
                break
            best = following
        return best
