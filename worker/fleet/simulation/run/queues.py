"""The router's own queue: jobs that no worker has yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from worker.fleet.simulation.run.job_table import JobTable


class RouterQueue:
    """Jobs in the order of arrival. Jobs of a failed worker come first.

    Attributes:
        load: Load of all jobs in it.
    """

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._jobs: deque[int] = deque()
        self.load = 0.0

    def __len__(self) -> int:
        """Return the number of jobs."""
        return len(self._jobs)

    def append(self, job: int) -> None:
        """Add a job that has arrived."""
        self._jobs.append(job)
        self.load += self._table.load[job]

    def put_back(self, jobs: Sequence[int]) -> None:
        """Add jobs that have waited before, in their order."""
        self._jobs.extendleft(reversed(jobs))
        self.load += sum(self._table.load[job] for job in jobs)

    def pop(self) -> int:
        """Remove and return the first job."""
        job = self._jobs.popleft()
        self.load = self.load - self._table.load[job] if self._jobs else 0.0
        return job

    def oldest_wait_s(self, now_s: float) -> float:
        """Return how long the first job has waited, 0 without one."""
        return now_s - self._table.arrival_s[self._jobs[0]] if self._jobs else 0.0
