"""The cases of the comparison: reports, readings of the autoscaler, and patterns of arrivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from worker.fleet.simulation.arrivals import Demand, bursty, daily, steady
from worker.fleet.simulation.job_mix import MixItem, with_videos
from worker.fleet.simulation.load_report import LoadReport, ReportedWork
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.settings import RunningJobs

SEEDS = (101, 102, 103, 104, 105)
"""Seeds of the reported runs. Seeds below 100 are for development."""
READINGS = {VastReading.UTILISATION: "A", VastReading.QUEUE: "B", VastReading.FORECAST: "C"}
HOURS = 6.0
JOBS = 3400
"""Jobs in these hours: about 19.6 hours of work, so 3.3 busy workers in the mean."""
PICTURES = (MixItem("picture", 1, 5.0, 5.0),)
VIDEO = MixItem("video", 0, 110.0, 110.0)
VIDEOS = 0.15
FORMER = {"video": 0.2}
"""The former release priced a second of a video at a fifth of a second of a picture."""


@dataclass(frozen=True, slots=True)
class ReportCase:
    """One way to report, and the settings of the worker that make it, if it still has them."""

    name: str
    report: LoadReport
    settings: str = ""


def _case(running: RunningJobs, *, metering: bool) -> ReportCase:
    """Return the report of a pair of settings."""
    name = f"{'metered' if metering else 'at arrival'}, running `{running}`"
    settings = f"`WORKER_VAST_METERING={str(metering).lower()}`, `WORKER_VAST_RUNNING={running}`"
    return ReportCase(name, LoadReport(running=running, metering=metering), settings)


PAIRS = tuple(_case(running, metering=metering) for metering in (False, True) for running in RunningJobs)
"""What the worker can be set to."""
OTHERS = (
    ReportCase("constant 100", LoadReport(ReportedWork.CONSTANT, benchmark_s=5.0)),
    ReportCase("former units", LoadReport(ReportedWork.FORMER_UNITS, former=FORMER)),
)
REPORTS = (*OTHERS, *PAIRS)


def _steady(demand: Demand) -> list[TraceJob]:
    """Return a constant rate."""
    return steady(demand)


def _daily(demand: Demand) -> list[TraceJob]:
    """Return the arrivals of a whole day, in the hours of the run."""
    speed = 24 / HOURS
    day = daily(replace(demand, days=1.0, jobs_a_day=demand.jobs_a_day / speed))
    return [replace(job, at_s=job.at_s / speed) for job in day]


def _alternate(demand: Demand) -> list[TraceJob]:
    """Return a constant rate, with videos in every second hour."""
    return steady(replace(demand, mix=with_videos(PICTURES, VIDEOS, alternate=True, video=VIDEO)))


PATTERNS: Mapping[str, Callable[[Demand], list[TraceJob]]] = {
    "steady": _steady,
    "daily": _daily,
    "bursty": bursty,
    "video in alternate hours": _alternate,
}


@lru_cache(maxsize=64)
def pattern_jobs(pattern: str, seed: int) -> tuple[TraceJob, ...]:
    """Return the jobs of a pattern."""
    mix = with_videos(PICTURES, VIDEOS, video=VIDEO)
    return tuple(PATTERNS[pattern](Demand(JOBS * 24 / HOURS, HOURS / 24, mix, seed)))
