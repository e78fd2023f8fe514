"""Compares the queue time that a worker reports, `cur_load / max_perf`, with the seconds until that work was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.load.accuracy import ErrorSummary
from worker.simulators.vast_router.report_log import StatusReport

SHORTEST_S = 3.0
"""Reports with less work than this are not compared: the delay between the report and the measurement would count."""


@dataclass(frozen=True, slots=True)
class SentJob:
    """A job that the client sent: the GPU that ran it, and when it was sent and answered, in seconds since 1970.

    `units` are its cost, and `seconds` the time that the GPU needed.
    """

    gpu: str
    sent_at: float
    ended_at: float
    units: float
    seconds: float


@dataclass(frozen=True, slots=True)
class QueueTime:
    """One report: when it was sent, the seconds that it stands for, and the seconds that it should stand for."""

    at: float
    reported_s: float
    true_s: float

    @property
    def error(self) -> float:
        """Error of the report, relative to the seconds that the work took."""
        return abs(self.reported_s - self.true_s) / self.true_s


def queue_times(reports: Sequence[StatusReport], jobs: Sequence[SentJob]) -> list[QueueTime]:
    """Return the queue time of each report with enough work.

    The true load is the sum over the GPUs of the seconds until each has done its jobs, multiplied by its measured
    speed. With one GPU, the speed cancels out.
    """
    return [row for row in _queue_times(reports, jobs, speeds(jobs)) if row.true_s >= SHORTEST_S]


def speeds(jobs: Sequence[SentJob]) -> dict[str, float]:
    """Return the units a second that each GPU did."""
    totals = {gpu: [job for job in jobs if job.gpu == gpu] for gpu in {job.gpu for job in jobs}}
    return {gpu: sum(job.units for job in ran) / sum(job.seconds for job in ran) for gpu, ran in totals.items()}


def _queue_times(
    reports: Sequence[StatusReport], jobs: Sequence[SentJob], speed_by_gpu: Mapping[str, float]
) -> Iterator[QueueTime]:
    """Yield the queue time of each report."""
    total = sum(speed_by_gpu.values())
    for report in reports:
        remaining = {
            gpu: max((job.ended_at for job in jobs if job.gpu == gpu and job.sent_at <= report.at), default=report.at)
            for gpu in speed_by_gpu
        }
        true_load = sum(max(0.0, ended_at - report.at) * speed_by_gpu[gpu] for gpu, ended_at in remaining.items())
        yield QueueTime(report.at, report.cur_load / report.max_perf, true_load / total)


def summary(rows: Sequence[QueueTime]) -> ErrorSummary:
    """Return the median and the 90 % quantile of the errors of all reports."""
    return ErrorSummary.of(row.error for row in rows)


def total_ratio(rows: Sequence[QueueTime]) -> float:
    """Return all reported seconds divided by all true seconds: what is left out of the report, or counted twice."""
    return sum(row.reported_s for row in rows) / sum(row.true_s for row in rows)
