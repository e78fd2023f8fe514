"""Facts about jobs, as frozen data without live objects, and the observers that get them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.job import Job, JobRef, JobState, Output

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobAccepted:
    job: JobRef
    workload: float
    dialect: str
    template: str | None
    """Name of the template that the prompt was made of."""

    @classmethod
    def of(cls, job: Job) -> JobAccepted:
        return cls(job.ref, job.workload, job.request.dialect, job.request.template)


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A job left the state `left` after `seconds` and entered `state`."""

    job: JobRef
    state: JobState
    left: JobState
    seconds: float


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """ComfyUI is about to get the job under `prompt_id`; with None, the prompt was taken out again."""

    job: JobRef
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class NodeStarted:
    job: JobRef
    node_id: str
    class_type: str
    title: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """`value` of `maximum` steps of a node are done (a sampler's steps, mostly)."""

    job: JobRef
    node_id: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PreviewReady:
    """A picture of the work in progress; never stored."""

    job: JobRef
    node_id: str | None
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputReady:
    """A node has saved something; it can be fetched while the rest of the job still runs."""

    job: JobRef
    output: Output


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job came to rest: it ended, or its result waits to be delivered again.

    `stages` are the seconds that it spent in each state, `size` the bytes of its outputs, `code` that of its error.
    """

    job: JobRef
    state: JobState
    elapsed_s: float
    stages: tuple[tuple[JobState, float], ...] = ()
    outputs: int = 0
    size: int = 0
    code: str | None = None
    template: str | None = None
    handed_back: bool = False
    """The worker shuts down, and the job goes on in its next life."""

    @classmethod
    def of(cls, job: Job) -> JobFinished:
        return cls(
            job.ref,
            job.state,
            job.elapsed_s,
            tuple(job.stages.items()),
            outputs=len(job.outputs),
            size=sum(output.size for output in job.outputs),
            code=job.error.code if job.error else None,
            template=job.request.template,
            handed_back=job.handed_back,
        )


@dataclass(frozen=True, slots=True)
class JobForgotten:
    """The job's results were kept for their time; the job can't be asked for any more."""

    job: JobRef


Followed = JobAccepted | StateChanged | NodeStarted | StepDone | PreviewReady | OutputReady | JobFinished
"""The facts about a job that a client may follow."""
Event = Followed | JobSubmitted | JobForgotten


class Observer(Protocol):
    """Gets every event, in order, on the event loop; must not block.

    An event carries plain data only. An observer that needs more of a job looks it up in the job index.
    """

    def notify(self, event: Event) -> None: ...


class Observers:
    """Passes events on. An observer that fails is logged and never fails a job."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def notify(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer.notify(event)
            except Exception:  # an observer's bug must not reach the job
                log.exception("observer %r failed on %s", observer, type(event).__name__)
