"""The search: coordinate descent from several starts, with the readings and seeds that a choice has to hold in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.advice.score import Score, score_of
from worker.fleet.advice.spaces.search_space import SearchSpace
from worker.fleet.advice.target import AdviceTarget
from worker.fleet.advice.trial import TrialKey, TrialResult
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

    def exactly(self, seeds: tuple[int, ...]) -> Self:
        """Return the search with exact trials of these seeds."""
        return replace(self, seeds=seeds, is_coarse=False)

    def key(self, candidate: Candidate, reading: str, seed: int) -> TrialKey:
        """Return what a trial of this search depends on."""
        return TrialKey(candidate, reading, seed, self.is_coarse)

    def keys(self, candidate: Candidate) -> list[TrialKey]:
        """Return the trials that a score needs."""
        return [self.key(candidate, reading, seed) for seed in self.seeds for reading in self.readings]

    def trials(self, candidate: Candidate) -> dict[str, list[TrialResult]]:
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
        """Return the candidate from which no step leads to a better one.

        A step changes one parameter, or all sizes of the fleet together: one alone may have no effect, because another
        one is a bound.
        """
        knobs = {knob.name: knob for knob in self.space.knobs(start.gpu)}
        moves = [[knobs[name] for name in self.space.sizes], *([knob] for knob in knobs.values())]
        best = start
        for _ in range(passes):
            before = best
            for move in moves:
                best = self._along(best, move)
            if best == before:
                break
        return best

    def _along(self, start: Candidate, knobs: Sequence[Knob]) -> Candidate:
        """Return the best candidate along some parameters. Steps go on in a direction while they improve."""
        beside = {direction: stepped(start, knobs, direction) for direction in (-1, 1)}
        best = self.best([start, *beside.values()])
        if best == start:
            return start
        direction = next(each for each, candidate in beside.items() if candidate == best)
        while True:
            following = self.best([best, stepped(best, knobs, direction)])
            if following == best:
                return best
            best = following


def stepped(candidate: Candidate, knobs: Sequence[Knob], direction: int) -> Candidate:
    """Return the candidate one step further. A parameter at its end keeps its value."""
    steps = {knob.name: knob.step(candidate.value(knob.name), direction) for knob in knobs}
    return candidate.having(**{name: value for name, value in steps.items() if value is not None})
