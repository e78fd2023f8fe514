"""The workers of an endpoint as its gateway sees them. There is no I/O, and the caller passes the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WorkerPhase(StrEnum):
    """The states of a worker that /health counts."""

    INITIALIZING = "initializing"
    IDLE = "idle"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"


@dataclass(slots=True)
class GatewayWorker:
    """One worker. Times are those of the caller's clock; None means not yet.

    `pinged_jobs` are the job ids of the last ping. `is_stopping` says that its end was ordered, and `is_lost` that its
    jobs were given to others.
    """

    id: str
    seen_at: float
    pinged_at: float | None = None
    pings: int = 0
    pinged_jobs: tuple[str, ...] = ()
    open_takes: int = 0
    takes: int = 0
    has_asked: bool = False
    """Whether the present process of the worker has asked for jobs."""
    unhealthy: str = ""
    is_stopping: bool = False
    is_lost: bool = False
    stop_requested: bool = False
    """Whether a result had `stopPod`."""


class EndpointWorkers:
    """The workers by id."""

    def __init__(self) -> None:
        self.workers: dict[str, GatewayWorker] = {}

    def get(self, worker_id: str, now: float) -> GatewayWorker:
        """Return a worker, which may be new."""
        return self.workers.setdefault(worker_id, GatewayWorker(worker_id, now))

    def seen(self, worker_id: str, now: float) -> GatewayWorker:
        """Return the worker that sent a request. A lost one that is back counts again."""
        worker = self.get(worker_id, now)
        if worker.is_lost:
            worker.is_lost, worker.seen_at = False, now
        return worker

    def ping(self, worker_id: str, job_ids: tuple[str, ...], problem: str, now: float) -> None:
        """Store a heartbeat. `problem` is the reason of an unhealthy one, empty for a healthy one."""
        worker = self.seen(worker_id, now)
        worker.pinged_at = worker.seen_at = now
        worker.pings += 1
        worker.pinged_jobs, worker.unhealthy = job_ids, problem

    def silent(self, now: float, lost_after_s: float) -> list[GatewayWorker]:
        """Return the workers that have asked for jobs, have not pinged for too long, and are not lost yet."""
        present = [worker for worker in self.workers.values() if worker.takes and not worker.is_lost]
        return [worker for worker in present if now - worker.seen_at >= lost_after_s]

    def phase(self, worker: GatewayWorker, running: set[str]) -> WorkerPhase:
        """Return the state of a worker. `running` are the ids of all workers that have a job."""
        if worker.unhealthy:
            return WorkerPhase.UNHEALTHY
        if worker.id in running:
            return WorkerPhase.RUNNING
        return WorkerPhase.IDLE if worker.has_asked else WorkerPhase.INITIALIZING

    def health(self, running: set[str]) -> dict[str, int]:
        """Return the counts of /health."""
        present = [worker for worker in self.workers.values() if not worker.is_lost]
        phases = [self.phase(worker, running) for worker in present]
        counts = {phase.value: phases.count(phase) for phase in WorkerPhase}
        return {**counts, "ready": counts["idle"] + counts["running"], "throttled": 0}
