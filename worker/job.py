"""A job: its request, its state and the time it spent in each state. No I/O."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from worker.delivery_options import DeliveryTarget, ImageFormat, Webhook
from worker.errors import Detail, OutputProblem, WorkerError
from worker.extra_data import ExtraData
from worker.prompt_changes import RandomInteger, Repair, SeedField


class JobState(StrEnum):
    """State of a job, in the order in which a job passes them."""

    QUEUED = "queued"
    PREPARING = "preparing"
    WAITING = "waiting"
    GENERATING = "generating"
    DELIVERING = "delivering"
    DELIVERY_PENDING = "delivery_pending"
    """The delivery failed and the outputs are kept for another one. This is no end, as the job may still complete."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job does not change any more unless a client requests it, such as another delivery."""
        return self in ENDS or self is JobState.DELIVERY_PENDING


ENDS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.PREPARING, *ENDS}),
    JobState.PREPARING: frozenset({JobState.WAITING, *ENDS}),
    JobState.WAITING: frozenset({JobState.GENERATING, JobState.DELIVERING, *ENDS}),
    JobState.GENERATING: frozenset({JobState.WAITING, JobState.DELIVERING, *ENDS}),
    JobState.DELIVERING: frozenset({JobState.DELIVERY_PENDING, *ENDS}),
    JobState.DELIVERY_PENDING: frozenset({JobState.DELIVERING, JobState.FAILED, JobState.CANCELLED}),
    **{end: frozenset() for end in ENDS},
}
"""States that may follow each state.

`generating -> waiting` means that ComfyUI was restarted and the job is sent again. `waiting -> delivering` means that
the messages of the run were lost and its result was read from the history."""


class OutputMode(StrEnum):
    """How the outputs reach the client: inline, by URL, or by name only, as in the stock template's default.

    AUTO is by URL where the operator has a bucket, and inline elsewhere. Only a request has it, never a job.
    """

    BASE64 = "base64"
    URL = "url"
    NONE = "none"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that came with the request, by the name that the workflow uses. It is in the job's own folder."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request for a job, independent of its dialect."""

    prompt: dict[str, Any]
    """API-format prompt (`worker.workflow.prompt.Prompt`). A dialect may also leave the editor's format here."""
    inputs: tuple[InputFile, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    """URLs of input files, by the name that the workflow uses."""
    output_mode: OutputMode = OutputMode.BASE64
    handler: str | None = None  # that the job calls in place of a prompt
    arguments: str = ""  # of the call as a JSON object. Large ones are in an input file
    dialect: str = "native"
    """Name of the dialect of the response. The intake sets it."""
    key: str | None = None
    """The client's own job id. A second request with it returns the first one's job."""
    repeat_key: str | None = None
    """The same for a request that the platform repeats."""
    timeout_s: float | None = None
    fingerprint: str = ""
    """Hash of the body. One key with two bodies is a conflict. Empty for a job of an earlier release."""
    former_fingerprints: tuple[str, ...] = ()  # by the rules of v0.2.0 and of earlier releases
    follows: bool = False
    """Whether the client follows the job's events, which contain previews then. The intake sets it."""
    raw: bool = False
    """Whether the response body is one file, so that no limit of a JSON response applies. The intake sets it."""
    image_format: ImageFormat | None = None
    target: DeliveryTarget | None = None
    """The client's own storage for the files, with its credentials. Never stored, and dropped at the end."""
    own_target: bool = False
    """Whether the files belong into the client's own storage, even if its credentials are lost."""
    deliver_models: bool = False
    """Whether models that nodes save are outputs, too."""
    webhook: Webhook | None = None
    template: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values of the template's parameters, without files."""
    random_integers: tuple[RandomInteger, ...] = ()
    """The random integers in the prompt, in its order."""
    repairs: tuple[Repair, ...] = ()
    """Changes to the prompt that was sent."""
    warnings: tuple[Detail, ...] = ()  # for the client, about the conversion of its workflow
    strict: bool = False
    """Whether repairs and new seeds are switched off."""
    keep_seeds: bool = False  # whether the sent or saved seeds are used
    seed_fields: tuple[SeedField, ...] = ()
    """Inputs that get a new seed when the job is accepted, as the editor does it."""
    seeds: tuple[RandomInteger, ...] = ()
    """The seeds that were drawn."""
    base_url: str = ""
    """URL by which the client reached this gateway. The URLs in a webhook begin with it."""
    extra: ExtraData = ExtraData()  # noqa: RUF009 - frozen
    client_id: str = ""  # of a client of ComfyUI's API, which gets the events
    parent: str | None = None  # id of the job whose handler sent the request
    keeps_previews: bool = False  # whether previews are outputs beside saved files
    with_status: bool = False  # whether the client of a queue gets status and body of the response as one value

    @property
    def job_id(self) -> str | None:
        """The job's id, None where the worker chooses one."""
        return self.key or self.repeat_key

    def same_body(self, other: JobRequest) -> bool:
        """Return whether two requests with one key have the same body, by their fingerprints.

        A job that an earlier release stored has only the fingerprints of that release.
        """
        both_current = bool(self.fingerprint and other.fingerprint)
        if both_current or not (self.former_fingerprints or other.former_fingerprints):
            return self.fingerprint == other.fingerprint
        return not set(self.former_fingerprints).isdisjoint(other.former_fingerprints)

    def with_delivery_of(self, other: JobRequest) -> JobRequest:
        """Return this request with the delivery of another one: its output mode, its storage, and its `raw`."""
        return replace(
            self, output_mode=other.output_mode, target=other.target, own_target=other.own_target, raw=other.raw
        )

    def merged_with(self, other: JobRequest) -> JobRequest:
        """Return this request for two clients that wait for the same job.

        It has the events of a followed job, and no limit on the response, if either client needs that.
        """
        return replace(self, raw=self.raw or other.raw, follows=self.follows or other.follows)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a job. A `text` has no file. `url` is set once the file is stored.

    `folder`, `subfolder` and `reported_as` are ComfyUI's terms. `size` is in bytes, `width` and `height` are in pixels.
    """

    index: int
    node_id: str
    kind: str
    filename: str
    subfolder: str = ""
    folder: str = "output"
    reported_as: str = "images"
    mime: str = "application/octet-stream"
    size: int = 0
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    text: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class EngineFile:
    """A file that a job wrote into a folder of its engine: an output, a preview or a file that a node left.

    `folder` is ComfyUI's term, and `path` is relative to it. `inode` and `mtime_ns` distinguish files of the same name.
    """

    folder: str
    path: str
    inode: int
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class JobRef:
    """The identity of a job, for events and other data that must not hold a live job."""

    id: str
    principal: str
    folder: str
    """Unique. An id can belong to jobs of several principals, and can be used again later."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The node that runs, and its finished steps if it counts them."""

    node_id: str
    class_type: str
    title: str
    value: float | None = None
    maximum: float | None = None


def new_folder() -> str:
    """Return a new name for a job's folder."""
    return f"job-{uuid.uuid4().hex}"


@dataclass(slots=True)
class Job:
    """The one mutable object of the flow. Only `advance` changes its state."""

    id: str
    request: JobRequest
    principal: str = "local"
    workload: float = 0.0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    folder: str = field(default_factory=new_folder)
    """Name of the job's own folders. It is not the id, which a client may choose."""
    state: JobState = JobState.QUEUED
    created_at: float = field(default_factory=time.time)
    stages: dict[JobState, float] = field(default_factory=dict)
    """Seconds that the job spent in each state."""
    outputs: tuple[Output, ...] = ()
    problems: tuple[OutputProblem, ...] = ()
    """Outputs that could not be delivered of a job that has completed."""
    files: tuple[EngineFile, ...] = ()
    """Files that the job left in the folders of its engine. They are removed with the outputs."""
    error: WorkerError | None = None
    waiters: int = 0  # number of requests that wait for the result
    detached: bool = False
    """Whether the client was told to request the result later. Disconnecting does not cancel the job then."""
    collectable: bool = False
    """Whether a client knows id and token, or chose the id, and may request the result even after a restart."""
    handed_back: bool = False
    """Whether this worker is shutting down, so that the job runs again after a restart."""
    prompt_id: str | None = None  # of the job's prompt in ComfyUI, once it was submitted
    engine: str | None = None  # name of the current or last engine, None for a job that was never submitted
    progress: JobProgress | None = None  # None before its first node and after its end
    predicted_s: float | None = None  # just before the run, its median
    ref: JobRef = field(init=False)  # the job's identity in events
    _state_entered_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.ref = JobRef(self.id, self.principal, self.folder)

    def advance(self, state: JobState) -> None:
        """Enter `state`, record the seconds in the previous one, and reset the progress.

        Raises ValueError when NEXT does not allow the step.
        """
        if state not in NEXT[self.state]:
            raise ValueError(f"job {self.id}: {self.state} cannot become {state}")
        now = time.monotonic()
        self.stages[self.state] = self.stages.get(self.state, 0.0) + now - self._state_entered_at
        self.state, self._state_entered_at, self.progress = state, now, None

    @property
    def in_state_s(self) -> float:
        """Seconds since the job entered its state."""
        return time.monotonic() - self._state_entered_at

    @property
    def elapsed_s(self) -> float:
        """Seconds from acceptance until the end, or until now if the job has not ended."""
        present_state_s = 0.0 if self.state.ended else self.in_state_s
        return sum(self.stages.values()) + present_state_s


def sorted_by_node(outputs: tuple[Output, ...]) -> list[Output]:
    """Return the outputs in the order of their node ids, so that the first image is the same in every run.

    The ids of nodes in a subgraph have several numbers, such as `12:3`. They are compared as numbers, not as text.
    """

    def sort_key(output: Output) -> tuple[list[int], str, int]:
        # Python refuses to convert very long numbers, which no real node has.
        numbers = [int(part) if part.isdecimal() and len(part) < 19 else 0 for part in output.node_id.split(":")]
        return numbers, output.node_id, output.index

    return sorted(outputs, key=sort_key)
