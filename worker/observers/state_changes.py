"""Changes of a job's state, and the events that announce them."""

from __future__ import annotations

from worker.errors import JobCancelled, WorkerError
from worker.events import DeliveryEnded, Notify, StateChanged
from worker.job import Job, JobState
from worker.outputs.delivery import Delivery


def enter_state(job: Job, state: JobState, notify: Notify, delivery: Delivery) -> None:
    """Change the state of a job and announce it, and also the end of a delivery."""
    previous, seconds = job.state, job.in_state_s
    job.advance(state)
    notify(StateChanged(job.ref, state, previous, seconds))
    if previous is JobState.DELIVERING:
        code = job.error.code if job.error else None
        size = sum(output.size for output in job.outputs)
        notify(DeliveryEnded(job.ref, delivery.method(job.request), size, seconds, code))


def state_after_failure(state: JobState, error: WorkerError) -> JobState:
    """Return the state of a job that failed in `state`. A job that failed in delivery keeps its outputs."""
    if isinstance(error, JobCancelled):
        return JobState.CANCELLED
    return JobState.DELIVERY_PENDING if state is JobState.DELIVERING else JobState.FAILED
