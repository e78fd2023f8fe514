"""Facts about one job, from its acceptance until it is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.job import Job, JobRef, JobState, Output


@dataclass(frozen=True, slots=True)
class JobAccepted:
    job: JobRef
    workload: float
    dialect: str
    template: str | None
    """Name of the template that the prompt was made of."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A job left the state `previous` after `seconds` and entered `state`."""

    job: JobRef
    state: JobState
    previous: JobState
    seconds: float


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """An engine is about to get the job under `prompt_id`; with None, the prompt was taken out again."""

    job: JobRef
    engine: str
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class NodesCached:
    """ComfyUI has the results of these nodes from an earlier run and does not run them."""

    job: JobRef
    node_ids: tuple[str, ...]


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
class RunEnded:
    """ComfyUI does not have the job's prompt any more: the run ended, well or not, or was cancelled."""

    job: JobRef


@dataclass(frozen=True, slots=True)
class OutputReady:
    """A node has saved something; it can be fetched while the rest of the job still runs."""

    job: JobRef
    output: Output


class DeliveryMethod(StrEnum):
    """How the files of a job reach its client."""

    INLINE = "inline"
    WORKER = "worker"
    """By URL, from this worker."""
    BUCKET = "bucket"
    """By URL, from the operator's bucket."""
    CLIENT_BUCKET = "client_bucket"
    PRESIGNED = "presigned"
    NAMED = "named"
    """Only the names are in the answer."""


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """`size` bytes of files were delivered, or the delivery failed with the error `code`."""

    job: JobRef
    method: DeliveryMethod
    size: int
    seconds: float
    code: str | None


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
class JobRemoved:
    """The job's results were kept for their time; the job can't be asked for any more."""

    job: JobRef


class WebhookOutcome(StrEnum):
    """`REFUSED`: by this worker's policy, not sent; `GONE`: the receiver wants no more; `REJECTED`: another status."""

    ACCEPTED = "accepted"
    GONE = "gone"
    REFUSED = "refused"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WebhookAttempted:
    """`number` counts the tries of one message from 1."""

    job: JobRef
    number: int
    outcome: WebhookOutcome
    seconds: float


StreamedEvent = JobAccepted | StateChanged | NodeStarted | StepDone | PreviewReady | OutputReady | JobFinished
"""The facts about a job that a client may follow."""
JobEvent = StreamedEvent | JobSubmitted | NodesCached | RunEnded | DeliveryEnded | WebhookAttempted | JobRemoved
