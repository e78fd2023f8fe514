"""Events of the run of a job's prompt on an engine."""

from __future__ import annotations

from dataclasses import dataclass

from worker.job import JobRef


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """A job is about to be sent to an engine as `prompt_id`. None means that the prompt was removed again."""

    job: JobRef
    engine: str
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class NodesCached:
    """ComfyUI has the results of these nodes from an earlier run and does not run them."""

    job: JobRef
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeExecuted:
    """A node of the job has reported results, or ComfyUI has reported its cached ones.

    `output` is the report as ComfyUI sent it, as JSON. `display_node_id` is as in `NodeStarted`.
    """

    job: JobRef
    node_id: str
    output: bytes
    display_node_id: str | None = None


@dataclass(frozen=True, slots=True)
class ImageSent:
    """A node has sent an image over ComfyUI's WebSocket, which is an output of the job (SaveImageWebsocket)."""

    job: JobRef
    node_id: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class NodeStopped:
    """The running node of the job has failed, or was interrupted."""

    job: JobRef


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events of the job's run were lost, so that it is not known when each of its nodes started."""

    job: JobRef


@dataclass(frozen=True, slots=True)
class RunClocked:
    """ComfyUI has started the run of the job, or ended it with success, at `at` milliseconds of its clock."""

    job: JobRef
    at: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run of the job's prompt inside ComfyUI has ended, successfully or not, or was cancelled."""

    job: JobRef
    succeeded: bool = False


@dataclass(frozen=True, slots=True)
class NodeRan:
    """A node of the job has run for `seconds` on an engine.

    `predicted_s` and `predicted_p90_s` are the median and the 90 % quantile of what was predicted for the node before
    it ran. `kind` is a value of `NodeKind`, and `family` is the family of its model, or empty.
    """

    job: JobRef
    engine: str
    node_id: str
    class_type: str
    kind: str
    family: str
    seconds: float
    predicted_s: float
    predicted_p90_s: float
    cold: bool = False
    """Whether the node loaded models, as far as that is known."""
    completed: bool = True
    """Whether the node ran to its end. It did not if the job was cancelled or has failed, or if the engine was lost."""
    load_tier: str = ""
    """Where most of the models that it loaded came from: a value of `Tier`, or empty without a load."""
    load_s: float = 0.0
    """Seconds that it needed for loading."""


@dataclass(frozen=True, slots=True)
class JobPredicted:
    """The job's prompt has run to its end on an engine for `seconds`.

    `predicted_s` and `predicted_p90_s` are the median and the 90 % quantile of what was predicted for the run just
    before it started. `family` is the family of the model of its most expensive node, or empty.
    """

    job: JobRef
    engine: str
    template: str | None
    family: str
    seconds: float
    predicted_s: float
    predicted_p90_s: float
    cold: bool = False
    """Whether the run was expected to load models."""


RunEvent = (
    JobSubmitted
    | RunClocked
    | NodesCached
    | NodeExecuted
    | ImageSent
    | NodeStopped
    | EventsLost
    | RunEnded
    | NodeRan
    | JobPredicted
)
