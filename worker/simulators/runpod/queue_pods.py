"""What the pool of workers asks about a queue-based endpoint, and what it reports to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.pods.pod_pool import PodEvents
from worker.simulators.runpod.pods.scaling import PodDemand


def queue_pod_events(state: EndpointState, environ: Callable[[str], Mapping[str, str]]) -> PodEvents:
    """Return the events of an endpoint's workers. `environ` returns the platform's variables of a worker."""

    def demand() -> PodDemand:
        now = state.clock()
        queued = [state.jobs.jobs[job_id] for job_id in state.jobs.queue]
        waited_s = [now - job.created_at for job in queued if not job.policy.low_priority]
        return PodDemand(waited_s, len(state.jobs.running))

    def busy(worker_id: str) -> bool:
        return not state.workers.get(worker_id, state.clock()).has_asked or worker_id in state.running_workers

    def stopping(worker_id: str) -> None:
        state.workers.get(worker_id, state.clock()).is_stopping = True
        state.changes.notify()

    def ended(worker_id: str) -> None:
        worker = state.workers.get(worker_id, state.clock())
        worker.has_asked, worker.unhealthy = False, ""
        if state.assumptions.exit_requeues:
            state.lose(worker_id)

    return PodEvents(environ, demand, busy, stopping, ended)
