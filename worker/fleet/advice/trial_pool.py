"""Runs trials on all cores, and each of them only once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from worker.fleet.advice.trial import TrialKey, TrialResult, TrialRunner

FEW_EVENTS = 5000
"""Arrivals and decisions in a run below which other processes would cost more time than they save."""
TICK_S = 5.0

_runner: TrialRunner | None = None
"""The runner of a process of the pool."""


class TrialPool:
    """Trials of one search. `trials` has all results, by what they depend on."""

    def __init__(self, run: Callable[[list[TrialKey]], Iterable[TrialResult]], progress: Callable[[int], None]) -> None:
        self._run, self._progress = run, progress
        self.trials: dict[TrialKey, TrialResult] = {}

    def need(self, keys: Iterable[TrialKey]) -> None:
        """Run those of the trials that have no result yet."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.trials]
        for key, trial in zip(missing, self._run(missing), strict=True):
            self.trials[key] = trial
            self._progress(len(self.trials))


@contextmanager
def trial_pool(runner: TrialRunner, progress: Callable[[int], None]) -> Iterator[TrialPool]:
    """Yield a pool with a process for each core, or with none if runs are short or there is one core."""
    jobs, cores = runner.space.jobs, len(os.sched_getaffinity(0))
    events = len(jobs) + (jobs[-1].at_s / TICK_S if jobs else 0.0)
    if cores < 2 or events < FEW_EVENTS:
        yield TrialPool(lambda keys: map(runner.run, keys), progress)
        return
    # Another thread may show the progress, so that a fork would not be safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, initializer=_start, initargs=(runner,)) as executor:
        yield TrialPool(lambda keys: executor.map(_run, keys), progress)


def _start(runner: TrialRunner) -> None:
    """Prepare a process of the pool."""
    global _runner  # noqa: PLW0603 - a process of a pool has no other place for what its tasks share
    _runner = runner


def _run(key: TrialKey) -> TrialResult:
    """Return the result of a run, in a process of the pool."""
    if _runner is None:
        raise RuntimeError("the process was not prepared")
    return _runner.run(key)
