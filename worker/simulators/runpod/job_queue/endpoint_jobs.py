"""The queue of one endpoint and what happens to its jobs. There is no I/O, and the caller passes the time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from itertools import islice
from typing import Any

from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.job_queue.records import DeliveryCounts, RunpodJob, RunpodStatus


class ResultOutcome(Enum):
    """What became of a worker's result."""

    ACCEPTED = auto()
    IGNORED = auto()
    TOO_LARGE = auto()
    UNKNOWN_JOB = auto()


class EndpointJobs:
    """All jobs of an endpoint by id, the queue, and the stop signals for each worker.

    `on_end` is called with each job that ends.
    """

    def __init__(self, assumptions: RunpodAssumptions) -> None:
        self.jobs: dict[str, RunpodJob] = {}
        self.queue: deque[str] = deque()
        self.running: dict[str, RunpodJob] = {}
        """The jobs that workers have, by id."""
        self.counts: dict[str, DeliveryCounts] = {}
        """What happened to each job, also to those that have expired."""
        self.retried = 0
        """Number of times that a job was queued again."""
        self._stops: dict[str, list[str]] = {}
        self._assumptions = assumptions
        self.on_end: Callable[[RunpodJob], None] = lambda _: None

    def submit(self, job: RunpodJob) -> None:
        """Put a job at the end of the queue."""
        self.jobs[job.id] = job
        self.counts[job.id] = job.counts
        self.queue.append(job.id)

    def take(self, worker_id: str, count: int, now: float, *, keep: bool = False) -> list[RunpodJob]:
        """Give up to `count` jobs to a worker. With `keep` the next worker gets them as well."""
        waiting = (self.jobs[job_id] for job_id in self.queue)
        taken = list(islice((job for job in waiting if worker_id not in job.holders), count))
        for job in taken:
            if not keep:
                self.queue.remove(job.id)
            self._move(job, RunpodStatus.IN_PROGRESS)
            job.started_at, job.worker_id = now, worker_id
            job.holders.add(worker_id)
            job.counts.taken += 1
            job.counts.workers.append(worker_id)
        return taken

    def put_back(self, jobs: Iterable[RunpodJob], worker_id: str) -> None:
        """Put jobs that did not reach their worker to the front of the queue."""
        for job in jobs:
            if worker_id in job.holders:
                self._requeue(job)

    def finish(self, job_id: str, worker_id: str, body: dict[str, Any], size: int, now: float) -> ResultOutcome:
        """Store the final result of a job. `size` is that of the body in bytes."""
        job = self.jobs.get(job_id)
        if job is None:
            return ResultOutcome.UNKNOWN_JOB
        is_late = worker_id not in job.holders or job.status is not RunpodStatus.IN_PROGRESS
        if job.status.is_final or (is_late and not self._assumptions.accepts_late_results):
            job.counts.ignored += 1
            return ResultOutcome.IGNORED
        if size > self.result_limit(job_id):
            job.counts.refused += 1
            if self._assumptions.oversized_result_completes:
                self._end(job, RunpodStatus.COMPLETED, {}, now)
            return ResultOutcome.TOO_LARGE
        result: dict[str, Any] = {name: body[name] for name in ("output", "error") if name in body}
        if "error" in body and not self._assumptions.keeps_output_beside_error:
            result.pop("output", None)
        if self._assumptions.chunks_become_output and result.get("output") == []:
            result["output"] = list(job.all_chunks)
        job.counts.accepted += 1
        job.worker_id = worker_id
        self._end(job, RunpodStatus.FAILED if "error" in body else RunpodStatus.COMPLETED, result, now)
        return ResultOutcome.ACCEPTED

    def result_limit(self, job_id: str) -> int:
        """Return the largest size of a job's result in bytes."""
        assumptions = self._assumptions
        is_small = assumptions.result_limit_by_id and not job_id.startswith("sync-")
        return assumptions.run_limit if is_small else assumptions.runsync_limit

    def progress(self, job_id: str, worker_id: str, output: object) -> ResultOutcome:
        """Store the progress of a job, which clients see as its output. Late progress may reopen a job."""
        job = self.jobs.get(job_id)
        if job is None:
            return ResultOutcome.UNKNOWN_JOB
        if job.status is RunpodStatus.IN_PROGRESS and worker_id in job.holders:
            job.counts.progress += 1
            job.result = {"output": output}
            return ResultOutcome.ACCEPTED
        job.counts.late_progress += 1
        has_result = job.status in (RunpodStatus.COMPLETED, RunpodStatus.FAILED)
        if not has_result or not self._assumptions.late_progress_reopens_job:
            return ResultOutcome.IGNORED
        self._move(job, RunpodStatus.IN_PROGRESS)
        job.ended_at, job.result = None, {"output": output}
        return ResultOutcome.ACCEPTED

    def note_ping(self, job_id: str, now: float) -> None:
        """Store the time of the first ping that names a running job."""
        job = self.running.get(job_id)
        if job and job.pinged_at is None:
            job.pinged_at = now

    def add_chunk(self, job_id: str, worker_id: str, chunk: dict[str, Any]) -> ResultOutcome:
        """Store a part of a job's output for /stream."""
        job = self.jobs.get(job_id)
        if job is None:
            return ResultOutcome.UNKNOWN_JOB
        if job.status is not RunpodStatus.IN_PROGRESS or worker_id not in job.holders:
            return ResultOutcome.IGNORED
        job.chunks.append(chunk)
        job.all_chunks.append(chunk)
        return ResultOutcome.ACCEPTED

    def cancel(self, job: RunpodJob, now: float) -> None:
        """Cancel a job that has not ended. Its workers get a stop signal."""
        if not job.status.is_final:
            self._end(job, RunpodStatus.CANCELLED, {}, now)

    def retry(self, job: RunpodJob, now: float) -> bool:
        """Queue a failed job again, with the same id. Return False for a job in another state."""
        if job.status not in (RunpodStatus.FAILED, RunpodStatus.TIMED_OUT):
            return False
        job.created_at, job.ended_at = now, None
        self._requeue(job, first=False)
        return True

    def purge(self, now: float) -> int:
        """Cancel all queued jobs and return their number."""
        queued = [self.jobs[job_id] for job_id in self.queue]
        for job in queued:
            self.cancel(job, now)
        return len(queued)

    def lose(self, worker_id: str, now: float) -> None:
        """Queue the jobs of a lost worker again. One that has lost too many workers fails."""
        self._stops.pop(worker_id, None)
        for job in list(self.running.values()):
            if worker_id not in job.holders:
                continue
            job.counts.lost += 1
            job.holders.discard(worker_id)
            if job.holders or job.id in self.queue:
                continue
            if job.counts.lost > self._assumptions.requeue_limit:
                self._end(job, RunpodStatus.FAILED, {"error": "job has lost its worker too often"}, now)
            else:
                self._requeue(job)

    def sweep(self, now: float) -> list[RunpodJob]:
        """End jobs that have run for too long, remove those that have expired, and return all whose state changed."""
        return [job for job in list(self.jobs.values()) if self._expire(job, now)]

    def find(self, job_id: str, now: float) -> RunpodJob | None:
        """Return a job in its state at this time, or None for one that is unknown or has expired."""
        if job := self.jobs.get(job_id):
            self._expire(job, now)
        return self.jobs.get(job_id)

    def _expire(self, job: RunpodJob, now: float) -> bool:
        """End or remove a job whose time is over. Return whether it was."""
        if now - job.created_at >= self._ttl_s(job):
            self.cancel(job, now)
            del self.jobs[job.id]
            return True
        if self._is_overdue(job, now):
            self._end(job, RunpodStatus.TIMED_OUT, {"error": "job timed out after its execution timeout"}, now)
            return True
        if job.ended_at is not None and now - job.ended_at >= self._retention_s(job):
            del self.jobs[job.id]
            return True
        return False

    def add_stop(self, worker_id: str, job_id: str) -> None:
        """Signal a worker to stop a job, whether it has the job or not."""
        self._stops.setdefault(worker_id, []).append(job_id)

    def take_stops(self, worker_id: str) -> list[str]:
        """Return the stop signals of a worker, each once."""
        return self._stops.pop(worker_id, [])

    def totals(self) -> Counter[RunpodStatus]:
        """Return the number of jobs in each state, with those that have expired."""
        return Counter(counts.status for counts in self.counts.values())

    def _move(self, job: RunpodJob, status: RunpodStatus) -> None:
        """Change the state of a job."""
        job.status = job.counts.status = status
        if status is RunpodStatus.IN_PROGRESS:
            self.running[job.id] = job
        else:
            self.running.pop(job.id, None)

    def _is_overdue(self, job: RunpodJob, now: float) -> bool:
        """Return whether a job has run longer than its execution timeout."""
        began_at = job.pinged_at if self._assumptions.ping_starts_execution else job.started_at
        if job.status is not RunpodStatus.IN_PROGRESS or began_at is None:
            return False
        limit_s = job.policy.execution_timeout_s
        if limit_s is None:
            limit_s = self._assumptions.execution_timeout_s
        return now - began_at >= max(limit_s, self._assumptions.least_execution_timeout_s)

    def _ttl_s(self, job: RunpodJob) -> float:
        return self._assumptions.ttl_s if job.policy.ttl_s is None else job.policy.ttl_s

    def _retention_s(self, job: RunpodJob) -> float:
        return self._assumptions.runsync_retention_s if job.is_sync else self._assumptions.run_retention_s

    def _requeue(self, job: RunpodJob, *, first: bool = True) -> None:
        """Queue a job again, at the front or at the end."""
        self.retried += 1
        self._move(job, RunpodStatus.IN_QUEUE)
        job.started_at, job.pinged_at, job.worker_id, job.result = None, None, "", {}
        job.holders.clear()
        job.chunks.clear()
        job.all_chunks.clear()
        if first:
            self.queue.appendleft(job.id)
        else:
            self.queue.append(job.id)

    def _end(self, job: RunpodJob, status: RunpodStatus, result: dict[str, Any], now: float) -> None:
        """End a job. Workers that have it and did not end it themselves get a stop signal."""
        if status in (RunpodStatus.CANCELLED, RunpodStatus.TIMED_OUT):
            for worker_id in job.holders:
                self.add_stop(worker_id, job.id)
        if job.id in self.queue:
            self.queue.remove(job.id)
        self._move(job, status)
        job.ended_at, job.result = now, result
        self.on_end(job)
