"""The trace of a worker's own arrivals log, or of several workers' together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.errors import NoArrivals
from worker.fleet.simulation.recorded_trace import RecordedTrace, timed
from worker.fleet.simulation.trace import TraceJob
from worker.observers.arrivals_file import FILE, read_rows


@dataclass(frozen=True, slots=True)
class LoggedArrivals:
    """What the logs have.

    Attributes:
        trace: The jobs that ran, with their seconds on an RTX 4090.
        unreadable: Lines that were left out, because a machine failed while they were written.
        hashed_in: Folders with kinds that are hashes, which differ from one folder to the next.
    """

    trace: RecordedTrace
    unreadable: int
    hashed_in: int


def logged_arrivals(states: Iterable[Path]) -> LoggedArrivals:
    """Return the jobs in the logs of these state folders.

    Raises:
        OSError: A log cannot be read.
        NoArrivals: A folder has no log, or no readable line.
    """
    jobs: list[TraceJob] = []
    unreadable = hashed_in = 0
    for state in states:
        found = [_job(row) for row in read_rows(state)]
        own = [job for job in found if job is not None]
        if not own:
            raise NoArrivals(f"{state} has no arrivals: no job has ended there while {FILE} was written")
        unreadable += len(found) - len(own)
        hashed_in += any(job.kind.startswith("k-") for job in own)
        jobs += own
    return LoggedArrivals(timed(jobs), unreadable, hashed_in)


def _job(row: dict[str, str] | None) -> TraceJob | None:
    """Return the job of a row, or None if the row is unreadable."""
    try:
        if row is not None:
            at = datetime.fromisoformat(row["at"])
            return TraceJob(at.timestamp(), float(row["units"]), float(row["seconds"]), row["kind"])
    except ValueError:
        pass
    return None
