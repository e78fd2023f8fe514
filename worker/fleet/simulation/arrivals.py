"""Generators of traces: jobs that arrive steadily, in a daily rhythm, in bursts, or ever more often.

Each generator is a plain function of its parameters. The same seed gives the same trace.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.fleet.simulation.job_mix import HOUR, PICTURES, MixItem, mixed
from worker.fleet.simulation.trace import TraceJob

DAY = 24 * HOUR


class ArrivalPattern(StrEnum):
    """How the rate of arrivals changes over time."""

    STEADY = "steady"
    DAILY = "daily"
    BURSTY = "bursty"
    RAMPING = "ramping"


@dataclass(frozen=True, slots=True)
class Demand:
    """How many jobs arrive, and which.

    Attributes:
        jobs_a_day: Mean number of jobs in 24 hours.
        days: Length of the trace.
        mix: Kinds of the jobs.
        seed: Seed of all random numbers.
    """

    jobs_a_day: float
    days: float = 1.0
    mix: Sequence[MixItem] = PICTURES
    seed: int = 1

    @property
    def rate(self) -> float:
        """Mean arrivals a second."""
        return self.jobs_a_day / DAY

    @property
    def span_s(self) -> float:
        """Length of the trace in seconds."""
        return self.days * DAY


def steady(demand: Demand) -> list[TraceJob]:
    """Return jobs that arrive independently of each other, at a constant rate: a Poisson process."""
    return _trace(demand, lambda _: 1.0, 1.0)


def daily(demand: Demand, *, peak_hour: float = 20.0, peak_ratio: float = 2.5) -> list[TraceJob]:
    """Return jobs with a daily rhythm. The trace starts at midnight.

    Args:
        demand: Number and kinds of the jobs.
        peak_hour: Hour of the day with the most arrivals, from 0 to 24.
        peak_ratio: Rate at the peak, divided by the mean rate. At least 1.
    """
    sharpness = _sharpness(peak_ratio)
    scale = peak_ratio / math.exp(sharpness)

    def factor(at_s: float) -> float:
        return scale * math.exp(sharpness * math.cos(2 * math.pi * (at_s / HOUR - peak_hour) / 24))

    return _trace(demand, factor, peak_ratio)


def bursty(demand: Demand, *, burst_ratio: float = 6.0, burst_s: float = 300.0, share: float = 0.1) -> list[TraceJob]:
    """Return jobs whose rate jumps between two values at random: a Markov-modulated Poisson process.

    Args:
        demand: Number and kinds of the jobs.
        burst_ratio: Rate during a burst, divided by the mean rate. `burst_ratio` times `share` is at most 1.
        burst_s: Mean length of a burst in seconds.
        share: Share of the time with a burst, above 0 and below 1.

    Raises:
        ValueError: The bursts alone would have more jobs than the whole trace.
    """
    if burst_ratio * share > 1:
        reason = f"a burst ratio of {burst_ratio:g} for {share:.0%} of the time"
        raise ValueError(f"{reason} is more than all jobs: their product has to be at most 1")
    calm_ratio = (1 - burst_ratio * share) / (1 - share)
    phases = _phases(demand, burst_s, share)
    times = [
        start + offset
        for start, length, is_burst in phases
        for offset in _poisson(_chance(demand, start), demand.rate * (burst_ratio if is_burst else calm_ratio), length)
    ]
    return mixed(times, demand.mix, demand.seed)


def ramping(demand: Demand, *, growth: float = 10.0) -> list[TraceJob]:
    """Return jobs whose rate grows linearly. At the end it is `growth` times the rate at the start."""
    first = 2 / (1 + growth)

    def factor(at_s: float) -> float:
        return first * (1 + (growth - 1) * at_s / demand.span_s)

    return _trace(demand, factor, first * max(1.0, growth))


def generated(pattern: ArrivalPattern, demand: Demand, **parameters: float) -> list[TraceJob]:
    """Return a trace of this pattern. `parameters` are those of the pattern's function.

    Raises ValueError when they contradict each other, and TypeError when the pattern has no such parameter.
    """
    makers: dict[ArrivalPattern, Callable[..., list[TraceJob]]] = {
        ArrivalPattern.STEADY: steady,
        ArrivalPattern.DAILY: daily,
        ArrivalPattern.BURSTY: bursty,
        ArrivalPattern.RAMPING: ramping,
    }
    return makers[pattern](demand, **parameters)


def _trace(demand: Demand, factor: Callable[[float], float], peak: float) -> list[TraceJob]:
    """Return jobs with the rate `demand.rate * factor(at_s)`. No factor may be above `peak`.

    Arrivals are drawn at the highest rate, and each is kept with the probability that its time has (thinning).
    """
    chance = _chance(demand, 0.0)
    candidates = _poisson(chance, demand.rate * peak, demand.span_s)
    times = [at_s for at_s in candidates if chance.random() * peak <= factor(at_s)]
    return mixed(times, demand.mix, demand.seed)


def _poisson(chance: random.Random, rate: float, length_s: float) -> Iterator[float]:
    """Yield the times of a Poisson process with `rate` events a second, from 0 to `length_s`."""
    if rate <= 0:
        return
    at_s = chance.expovariate(rate)
    while at_s < length_s:
        yield at_s
        at_s += chance.expovariate(rate)


def _phases(demand: Demand, burst_s: float, share: float) -> Iterator[tuple[float, float, bool]]:
    """Yield the phases of a bursty trace: start, length in seconds, and whether it is a burst."""
    chance = random.Random(f"phases {demand.seed}")  # noqa: S311 - not for security
    calm_s = burst_s * (1 - share) / share
    start, is_burst = 0.0, chance.random() < share
    while start < demand.span_s:
        length = min(chance.expovariate(1 / (burst_s if is_burst else calm_s)), demand.span_s - start)
        yield start, length, is_burst
        start, is_burst = start + length, not is_burst


def _sharpness(peak_ratio: float) -> float:
    """Return k for which the mean of exp(k cos x) over a period, times `peak_ratio`, is exp(k). 0 for a ratio of 1."""
    low, high = 0.0, 2 * math.pi * peak_ratio**2 + 1  # for large k, the ratio is close to sqrt(2 pi k)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 / _mean_of_peak(middle) < peak_ratio else (low, middle)
    return (low + high) / 2


def _mean_of_peak(sharpness: float, steps: int = 512) -> float:
    """Return the mean of exp(k (cos x - 1)) over a period."""
    return sum(math.exp(sharpness * (math.cos(2 * math.pi * step / steps) - 1)) for step in range(steps)) / steps


def _chance(demand: Demand, start_s: float) -> random.Random:
    """Return the source of the arrival times, independent of the kinds that are drawn for them."""
    return random.Random(f"arrivals {demand.seed} {start_s!r}")  # noqa: S311 - not for security
