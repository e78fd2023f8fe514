"""The decision whether to take another job. Pure.

A taken job cannot be given back. One that waits here behind a long job would be run sooner by another worker, so the
next job is taken only shortly before an engine is free.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

SOONEST_S, LATEST_S = 0.05, 1.0
"""Shortest and longest pause until the next look. Predictions change while a job runs."""


@dataclass(frozen=True, slots=True)
class TakeDecision:
    """`count` jobs are taken now. If it is 0, look again after `again_s` seconds or when a job or engine changes."""

    count: int
    again_s: float = LATEST_S


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What a worker still has to do.

    - `remaining_s` has the seconds that each connected engine will still run, with the jobs that wait.
    - `next_end_s` is the 90 % quantile of the seconds until the first of the jobs has run.
    - `jobs` is the number of jobs that still need an engine.
    - `calls` is the number of handler calls. Their ends are not predicted, and each may use an engine until then.
    """

    remaining_s: Collection[float]
    next_end_s: float = 0.0
    jobs: int = 0
    calls: int = 0


def decide(load: QueueLoad, prefetch_s: float) -> TakeDecision:
    """Return how many jobs to take."""
    engines = len(load.remaining_s) - load.calls
    free = engines - load.jobs
    if free > 0:
        return TakeDecision(free)
    if engines <= 0 or prefetch_s <= 0 or load.jobs >= 2 * engines:
        return TakeDecision(0)
    # The quantile keeps a job away from one whose duration is only guessed. It comes close to the median as it runs.
    left_s = max(min(load.remaining_s), load.next_end_s)
    if left_s <= prefetch_s:
        return TakeDecision(1)
    return TakeDecision(0, min(max(left_s - prefetch_s, SOONEST_S), LATEST_S))
