"""Events of one job, from its acceptance until it is removed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.events.run import RunEvent
from worker.job import Job, JobRef, JobState, Output


@dataclass(frozen=True, slots=True)
class JobAccepted:
    """A job was accepted. `workload` is in workload units."""

    job: JobRef
    workload: float
    dialect: str
    template: str | None
    """Name of the template that the prompt comes from, if there is one."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A job left the state `previous` after `seconds` and entered `state`."""

    job: JobRef
    state: JobState
    previous: JobState
    seconds: float


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """ComfyUI started a node of the job."""

    job: JobRef
    node_id: str
    class_type: str
    title: str
    display_node_id: str | None = None
    """Node of the workflow that was expanded to this one, or this node itself. None means that it is not known."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A node has finished `value` of `maximum` steps. Most of these events come from samplers."""

    job: JobRef
    node_id: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PreviewReady:
    """A preview image of the running node. It is never stored."""

    job: JobRef
    node_id: str | None
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputReady:
    """A node has saved an output. It can be fetched while the job still runs."""

    job: JobRef
    output: Output


class DeliveryMethod(StrEnum):
    """How the files of a job are delivered to its client."""

    INLINE = "inline"
    WORKER = "worker"
    """By URL, from this worker."""
    BUCKET = "bucket"
    """By URL, from the operator's bucket."""
    CLIENT_BUCKET = "client_bucket"
    PRESIGNED = "presigned"
    NAMED = "named"
    """Only the file names are in the response."""


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """A delivery of `size` bytes has ended. `code` is the code of its error, or None if it succeeded."""

    job: JobRef
    method: DeliveryMethod
    size: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job has ended, or its result waits for another delivery.

    `stages` are the seconds spent in each state, `size` the bytes of the outputs, and `code` is that of the error.
    """

    job: JobRef
    state: JobState
    elapsed_s: float
    stages: tuple[tuple[JobState, float], ...] = ()
    outputs: int = 0
    size: int = 0
    code: str | None = None
    template: str | None = None
    handler: str | None = None
    handed_back: bool = False
    """The worker shuts down, and the job continues after the restart."""

    @classmethod
    def of(cls, job: Job) -> JobFinished:
        """Return the event for a job in its current state."""
        return cls(
            job.ref,
            job.state,
            job.elapsed_s,
            tuple(job.stages.items()),
            outputs=len(job.outputs),
            size=sum(output.size for output in job.outputs),
            code=job.error.code if job.error else None,
            template=job.request.template,
            handler=job.request.handler,
            handed_back=job.handed_back,
        )


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """A job and its results were removed, for example because WORKER_RESULT_TTL has passed."""

    job: JobRef


class WebhookOutcome(StrEnum):
    """Result of one attempt to send a webhook.

    - `ACCEPTED`: the receiver returned 2xx.
    - `GONE`: the receiver returned 410 and wants no more messages.
    - `REFUSED`: this worker does not send to the URL.
    - `REJECTED`: the receiver returned another status.
    - `FAILED`: there was no response.
    """

    ACCEPTED = "accepted"
    GONE = "gone"
    REFUSED = "refused"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WebhookAttempted:
    """A webhook was sent. `number` counts the attempts for one message from 1."""

    job: JobRef
    number: int
    outcome: WebhookOutcome
    seconds: float


@dataclass(frozen=True, slots=True)
class CostDiffered:
    """A client told the platform's router another cost than the units with which the worker counts its request.

    Both are in units. A client that sends no cost of its own sends the default of the platform's client.
    """

    job: JobRef
    cost: float
    units: float


StreamedEvent = JobAccepted | StateChanged | NodeStarted | StepDone | PreviewReady | OutputReady | JobFinished
"""Events of a job that are streamed to clients."""
JobEvent = StreamedEvent | RunEvent | DeliveryEnded | WebhookAttempted | CostDiffered | JobRemoved
