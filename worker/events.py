"""What happens to a job, as frozen facts, and who may listen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.job import Job, JobState, Output

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobAccepted:
    job: Job


@dataclass(frozen=True, slots=True)
class StateChanged:
    job: Job
    state: JobState


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """The engine `job.engine` has taken the job, under `job.prompt_id`."""

    job: Job


@dataclass(frozen=True, slots=True)
class NodeStarted:
    job: Job
    node_id: str
    class_type: str
    title: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """`value` of `maximum` steps of a node are done (a sampler's steps, mostly)."""

    job: Job
    node_id: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PreviewReady:
    """A picture of the work in progress; never stored."""

    job: Job
    node_id: str | None
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputReady:
    """A node has saved something; it can be fetched while the rest of the job still runs."""

    job: Job
    output: Output


@dataclass(frozen=True, slots=True)
class JobFinished:
    job: Job


@dataclass(frozen=True, slots=True)
class JobForgotten:
    """The results have lived their time; nobody can ask for the job any more."""

    job: Job


Told = JobAccepted | StateChanged | NodeStarted | StepDone | PreviewReady | OutputReady | JobFinished
"""What a client may follow."""
Event = Told | JobSubmitted | JobForgotten


class Observer(Protocol):
    """Hears every event, in order, on the event loop; must not block."""

    def notify(self, event: Event) -> None: ...


class Observers:
    """Fans events out. A listener that fails is logged and never fails a job."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def notify(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer.notify(event)
            except Exception:  # a listener's bug is not the job's
                log.exception("observer %r failed on %s", observer, type(event).__name__)
