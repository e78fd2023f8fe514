"""Logs the jobs that ran, with their arrivals and their seconds, as the history from which a fleet can be planned."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from worker.events import Handlers, JobFinished, NodeRan
from worker.job import JobState
from worker.jobs.job_index import JobIndex
from worker.load.job_estimates import JobEstimates
from worker.load.prior import reference_factor
from worker.observers.arrivals_file import FILE, ArrivalRow, append
from worker.observers.kind_names import KindNames, kind_key
from worker.supervision import Tasks, stop

log = logging.getLogger(__name__)

MOST_PENDING = 10_000
"""Rows that are kept while the file cannot be written. Older ones are lost."""
TOGETHER_S = 1.0
"""Seconds in which rows are collected after a write. A write for each job costs more than predicting the job."""
RETRY_S = 30.0
"""Seconds after which a failed write is repeated."""


class ArrivalsLog:
    """An observer that appends a row for each job that ran to `arrivals.csv` in the state folder.

    Handlers only collect the rows. A task of its own writes them in a thread. `templates` are the names that may stand
    in the file: those of the templates that everyone has.
    """

    def __init__(
        self,
        state: Path,
        jobs: JobIndex,
        estimates: JobEstimates,
        templates: Collection[str],
        retry_s: float = RETRY_S,
    ) -> None:
        self._state = state
        self._jobs = jobs
        self._estimates = estimates
        self._templates = templates
        self._retry_s = retry_s
        self._kinds = KindNames(b"", templates)
        self._load_s: dict[str, float] = {}
        """Seconds of loading models of each job that has not ended, by the name of its folder."""
        self._pending: deque[ArrivalRow] = deque(maxlen=MOST_PENDING)
        self._has_pending = asyncio.Event()
        self._has_failed = False
        """Whether the last write has failed."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of nodes that ran, and of the ends of jobs."""
        return {NodeRan: self._node_ran, JobFinished: self._job_finished}

    @asynccontextmanager
    async def running(self, tasks: Tasks) -> AsyncIterator[None]:
        """Write rows while the context lasts, and the last ones at its end."""
        self._kinds = KindNames(await asyncio.to_thread(kind_key, self._state), self._templates)
        writing = tasks.start("arrivals-log", self._keep_writing)
        try:
            yield
        finally:
            await stop(writing)
            await self._write_pending()

    async def _keep_writing(self) -> None:
        """Write rows as they come, until cancelled."""
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            await self._write_pending()
            await asyncio.sleep(self._retry_s if self._has_failed else TOGETHER_S)
            if self._has_failed:
                self._has_pending.set()

    async def _write_pending(self) -> None:
        """Write the pending rows. If that fails, log it once and keep them."""
        if not self._pending:
            return
        rows, self._pending = [*self._pending], deque(maxlen=MOST_PENDING)
        writing = asyncio.get_running_loop().run_in_executor(None, append, self._state / FILE, rows)
        try:
            await asyncio.wait({writing})
        finally:
            # A thread cannot be cancelled. Its rows must be neither lost nor written twice.
            await asyncio.wait({writing})
            self._settle(rows, writing.exception())

    def _settle(self, rows: list[ArrivalRow], error: BaseException | None) -> None:
        """Put the rows of a failed write back."""
        if error is not None:
            self._pending = deque([*rows, *self._pending], maxlen=MOST_PENDING)
            if not self._has_failed:
                log.warning("%s cannot be written, and is tried again: %s", self._state / FILE, error)
        self._has_failed = error is not None

    def _node_ran(self, event: NodeRan) -> None:
        """Add the seconds that a node needed for loading models."""
        if event.load_s:
            self._load_s[event.job.folder] = self._load_s.get(event.job.folder, 0.0) + event.load_s

    def _job_finished(self, event: JobFinished) -> None:
        """Add the row of a job that ran, unless it runs again or has a row from before its result was delivered."""
        stages = dict(event.stages)
        load_s = self._load_s.pop(event.job.folder, 0.0)
        measured_s = stages.get(JobState.GENERATING, 0.0)
        if event.handed_back or JobState.DELIVERY_PENDING in stages or not measured_s:
            return
        job, work = self._jobs.get(event.job), self._estimates.work(event.job)
        if job is None or work is None:
            return
        gpu = self._estimates.gpu_of(job.engine or "")
        row = ArrivalRow(
            at=job.created_at,
            units=job.workload,
            seconds=max(0.0, measured_s - load_s) * reference_factor(work, gpu),
            kind=self._kinds.name(job.request.template, work),
            predicted_s=job.predicted_s or 0.0,
            measured_s=measured_s,
            load_s=load_s,
            gpu=gpu.name,
            state=event.state,
        )
        self._pending.append(row)
        self._has_pending.set()
