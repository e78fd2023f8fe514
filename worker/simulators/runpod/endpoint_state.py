"""What the parts of one simulated endpoint share: its jobs, its workers, the switches, the faults and the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.call_log import RunpodCallLog
from worker.simulators.runpod.fault_config import RunpodFaults
from worker.simulators.runpod.job_queue.endpoint_jobs import EndpointJobs
from worker.simulators.runpod.job_queue.endpoint_workers import EndpointWorkers
from worker.simulators.runpod.job_queue.records import RunpodJob

T = TypeVar("T")


class EndpointChanges:
    """Wakes everything that waits for a change of the endpoint."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Let all waiters check their conditions."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], T], timeout_s: float | None) -> T:
        """Return the result of the condition as soon as it is true, or what it is after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (result := condition()):
                    await self._event.wait()
                return result
        except TimeoutError:
            return condition()


@dataclass(frozen=True, slots=True)
class EndpointKeys:
    """The keys of an endpoint: that of its clients, and the one that its workers get as RUNPOD_AI_API_KEY."""

    client: str = "rpa-local-client"
    worker: str = "rpa-local-worker"


@dataclass(slots=True)
class EndpointState:
    """One endpoint. `clock` returns seconds for all durations of jobs and workers, except those of held requests."""

    endpoint: str
    assumptions: RunpodAssumptions
    jobs: EndpointJobs
    keys: EndpointKeys = field(default_factory=EndpointKeys)
    clock: Callable[[], float] = time.time
    workers: EndpointWorkers = field(default_factory=EndpointWorkers)
    faults: RunpodFaults = field(default_factory=RunpodFaults)
    calls: RunpodCallLog = field(default_factory=RunpodCallLog)
    changes: EndpointChanges = field(default_factory=EndpointChanges)

    @property
    def running_workers(self) -> set[str]:
        """The ids of the workers that have a job."""
        return {worker_id for job in self.jobs.running.values() for worker_id in job.holders}

    def find(self, job_id: str) -> RunpodJob | None:
        """Return a job in its present state, or None for one that is unknown or has expired."""
        return self.jobs.find(job_id, self.clock())

    def lose(self, worker_id: str) -> None:
        """Give the jobs of a worker to others."""
        worker = self.workers.workers.get(worker_id)
        if worker and not worker.is_lost:
            worker.is_lost = True
            self.jobs.lose(worker_id, self.clock())
            self.changes.notify()

    def sweep(self) -> list[str]:
        """End and remove what has run out of time: jobs and workers. Return the ids of the workers."""
        changed = self.jobs.sweep(self.clock())
        silent = [worker.id for worker in self.workers.silent(self.clock(), self.assumptions.lost_after_s)]
        for worker_id in silent:
            self.lose(worker_id)
        if changed:
            self.changes.notify()
        return silent
