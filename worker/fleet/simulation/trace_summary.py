"""What a trace holds, in a few numbers: how many jobs, when, and how much work."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.fleet.simulation.arrivals import DAY
from worker.fleet.simulation.job_mix import HOUR
from worker.fleet.simulation.recorded_trace import RecordedTrace


@dataclass(frozen=True, slots=True)
class KindSummary:
    """The jobs of one kind. Units and seconds are those of one job, and `work_share` is its share of all seconds."""

    kind: str
    jobs: int
    units: float
    seconds_p50: float
    seconds_p90: float
    work_share: float


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """A trace in numbers. Seconds are those of an RTX 4090.

    Attributes:
        jobs: Number of jobs.
        start: Time at which the trace starts, in ISO 8601, or empty.
        span_s: Seconds from the start of the trace to the last arrival.
        units: Sum of the units.
        seconds: Sum of the seconds.
        mean_busy: GPUs that are busy in the mean, if they are as fast as an RTX 4090.
        peak_busy: The same in the busiest hour of the trace.
        jobs_by_hour: Mean number of jobs in each hour of the day, from 0 to 23 o'clock, in UTC if the start is known.
        kinds: The kinds, those with the most work first.
    """

    jobs: int
    start: str
    span_s: float
    units: float
    seconds: float
    mean_busy: float
    peak_busy: float
    jobs_by_hour: tuple[float, ...]
    kinds: tuple[KindSummary, ...]

    @property
    def jobs_a_day(self) -> float:
        """Mean number of jobs in 24 hours. Of a shorter trace, the number that 24 such hours would have."""
        return self.jobs / self.span_s * DAY if self.span_s > 0 else float(self.jobs)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        from dataclasses import asdict

        return {**asdict(self), "jobs_a_day": self.jobs_a_day}


def summary_of(trace: RecordedTrace) -> TraceSummary:
    """Return the summary of a trace, which has at least one job."""
    jobs = trace.jobs
    span_s = max(jobs[-1].at_s, 1.0)
    work_by_hour: dict[int, float] = defaultdict(float)
    jobs_by_hour: dict[int, int] = defaultdict(int)
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, job in enumerate(jobs):
        hour = int(job.at_s // HOUR)
        work_by_hour[hour] += job.seconds
        jobs_by_hour[hour] += 1
        by_kind[job.kind].append(number)
    seconds = sum(work_by_hour.values())
    kinds = [_kind(trace, kind, numbers, seconds) for kind, numbers in by_kind.items()]
    return TraceSummary(
        jobs=len(jobs),
        start=trace.start.isoformat() if trace.start else "",
        span_s=span_s,
        units=sum(job.units for job in jobs),
        seconds=seconds,
        mean_busy=seconds / span_s,
        peak_busy=max(work_by_hour.values()) / min(HOUR, span_s),
        jobs_by_hour=_by_hour_of_day(jobs_by_hour, span_s, trace.start.hour if trace.start else 0),
        kinds=tuple(sorted(kinds, key=lambda kind: -kind.work_share)),
    )


def _kind(trace: RecordedTrace, kind: str, numbers: Sequence[int], total_s: float) -> KindSummary:
    """Return the summary of one kind, whose jobs have these numbers in the trace."""
    jobs = [trace.jobs[number] for number in numbers]
    seconds = sorted(job.seconds for job in jobs)
    units = sum(job.units for job in jobs) / len(jobs)
    share = sum(seconds) / total_s if total_s else 0.0
    return KindSummary(kind, len(jobs), units, _quantile(seconds, 0.5), _quantile(seconds, 0.9), share)


def _by_hour_of_day(jobs_by_hour: dict[int, int], span_s: float, first: int) -> tuple[float, ...]:
    """Return the mean number of jobs in each hour of the day. `first` is the hour of the day at the start."""
    jobs, hours = [0.0] * 24, [0.0] * 24
    for hour in range(math.ceil(span_s / HOUR)):
        jobs[(first + hour) % 24] += jobs_by_hour.get(hour, 0)
        hours[(first + hour) % 24] += min(1.0, span_s / HOUR - hour)
    return tuple(count / max(length, 1 / 60) for count, length in zip(jobs, hours, strict=True))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of the sorted values is."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
