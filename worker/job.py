"""A job: what was asked, where it stands, how long each stage took. No I/O."""

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
from worker.prompt_changes import Repair, SeedField


class JobState(StrEnum):
    """Accepted; its inputs being written; in ComfyUI's queue; running there; being delivered; over."""

    QUEUED = "queued"
    PREPARING = "preparing"
    WAITING = "waiting"
    GENERATING = "generating"
    DELIVERING = "delivering"
    DELIVERY_PENDING = "delivery_pending"
    """The outputs are made and kept, and wait for a second delivery. Nothing more happens by itself, so whoever waits
    is answered; but it is no end, so that an end stays one: a job that is delivered later was never `failed`."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Nothing more happens by itself."""
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
"""Which state may follow which. `generating -> waiting`: ComfyUI was restarted and the job is sent again;
`waiting -> delivering`: the events of the run were lost and its end was read from the history."""


class OutputMode(StrEnum):
    """How the outputs reach the client: inline, by URL, or named only (the stock template's default).

    Auto is by URL where the operator has a bucket and inline elsewhere; no job has it, only a request.
    """

    BASE64 = "base64"
    URL = "url"
    NONE = "none"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that came with the request, by the name that the workflow uses for it. It lies in the job's own folder."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RandomInteger:
    """What a `__RANDOM_INT__` of a workflow became, or a seed that was drawn.

    `input` is a dotted path where it stood inside a list or object.
    """

    node_id: str
    input: str
    value: int


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a dialect makes of a request body; the same for all dialects."""

    prompt: dict[str, Any]
    """An API-format prompt (`worker.workflow.prompt.Prompt`); from a dialect maybe still what the editor saves."""
    inputs: tuple[InputFile, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    """Files that the worker fetches, by the name that the workflow uses."""
    output_mode: OutputMode = OutputMode.BASE64
    dialect: str = "native"
    """Name of the dialect that the answer is written in; the intake sets it."""
    key: str | None = None
    """The caller's own id. A second request with it finds the first one's job."""
    repeat_key: str | None = None
    """The same where the platform knows that a request was repeated; the caller knows nothing of it."""
    timeout_s: float | None = None
    fingerprint: str = ""
    """Hash of the body: the same key with another body is a conflict. Empty where an earlier release stored it."""
    former_fingerprints: tuple[str, ...] = ()  # by the rules of v0.2.0, then of those before it
    follows: bool = False
    """The client follows the job's events, which have previews then. The intake sets it."""
    raw: bool = False
    """The client takes one file as the body of the answer: no limit of a JSON answer applies. The intake sets it."""
    image_format: ImageFormat | None = None
    target: DeliveryTarget | None = None
    """The client's own place for the files, with its credentials: never journaled, forgotten at the end."""
    own_target: bool = False
    """True where the files belong to the client's own place, even when its credentials are not known any more."""
    deliver_models: bool = False
    """Whether models that nodes save are outputs, too."""
    webhook: Webhook | None = None
    template: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """The template that the prompt was made of, and the values of its parameters; files are left out."""
    random_integers: tuple[RandomInteger, ...] = ()
    """Those that were drawn for the prompt, in its order."""
    repairs: tuple[Repair, ...] = ()
    """What runs in another form than it was sent."""
    warnings: tuple[Detail, ...] = ()
    """What the client should know of the prompt that was made of its workflow."""
    strict: bool = False
    """Nothing is repaired, and no seed is drawn."""
    keep_seeds: bool = False
    """The seeds that were sent or saved are those that run."""
    seed_fields: tuple[SeedField, ...] = ()
    """Inputs that the editor's file wants a fresh seed in. Once the job is accepted they have it."""
    seeds: tuple[RandomInteger, ...] = ()
    """The seeds that were drawn."""
    base_url: str = ""
    """Where the client reached this gateway; the URLs in a webhook begin with it."""
    extra: ExtraData = ExtraData()  # noqa: RUF009 - frozen

    @property
    def job_id(self) -> str | None:
        """Its id; None where the worker chooses one."""
        return self.key or self.repeat_key

    def same_body(self, other: JobRequest) -> bool:
        """Whether two requests under one key have the same body, by a fingerprint of one release."""
        if (self.fingerprint and other.fingerprint) or not (self.former_fingerprints or other.former_fingerprints):
            return self.fingerprint == other.fingerprint
        return not set(self.former_fingerprints).isdisjoint(other.former_fingerprints)

    def with_delivery_of(self, other: JobRequest) -> JobRequest:
        """Return the request with the place and the way of delivery of another one."""
        return replace(
            self, output_mode=other.output_mode, target=other.target, own_target=other.own_target, raw=other.raw
        )

    def merged_with(self, other: JobRequest) -> JobRequest:
        """Return the request with what a second client that waits for the same job needs."""
        return replace(self, raw=self.raw or other.raw, follows=self.follows or other.follows)


@dataclass(frozen=True, slots=True)
class Output:
    """One typed result. A `text` has no file; `url` is set once it is stored where a URL opens it.

    `folder`, `subfolder` and `reported_as` are ComfyUI's words; `size` is in bytes, `width` and `height` in pixels.
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
    """A file that a job wrote into a folder of its engine: an output, a preview, or what a node left beside one.

    `folder` is ComfyUI's word, `path` is relative to it. `inode` and `mtime_ns` tell another file of the same name.
    """

    folder: str
    path: str
    inode: int
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class JobRef:
    """Names one job, in events and wherever a live job would be too much."""

    id: str
    principal: str
    folder: str
    """Unique, while an id is another job's in the hands of another principal, and may be used again later."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The node that runs, and how many of its steps are done, where it counts them."""

    node_id: str
    class_type: str
    title: str
    value: float | None = None
    maximum: float | None = None


def new_folder() -> str:
    """Return the name of a folder that no job has yet."""
    return f"job-{uuid.uuid4().hex}"


@dataclass(slots=True)
class Job:
    """The one mutable thing of the flow; `advance` is the only way to change its state."""

    id: str
    request: JobRequest
    principal: str = "local"
    workload: float = 0.0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    folder: str = field(default_factory=new_folder)
    """Name of the folders that are this job's alone. Not its id, which a client may choose."""
    state: JobState = JobState.QUEUED
    created_at: float = field(default_factory=time.time)
    stages: dict[JobState, float] = field(default_factory=dict)
    """Seconds spent in each state, of the monotonic clock."""
    outputs: tuple[Output, ...] = ()
    problems: tuple[OutputProblem, ...] = ()
    """What could not be delivered of a job that has ended well."""
    files: tuple[EngineFile, ...] = ()
    """What it left in the folders of its engine, removed with the outputs."""
    error: WorkerError | None = None
    waiters: int = 0
    """Requests that wait for the result right now."""
    detached: bool = False
    """True once the client was told to come back for the result: hanging up no longer cancels."""
    collectable: bool = False
    """Somebody knows the id and the token, or chose the id: he may ask for the result even after a restart."""
    handed_back: bool = False
    """This worker is shutting down: the job's end here is not its end."""
    prompt_id: str | None = None
    """Under which ComfyUI has the job, once it was submitted."""
    engine: str | None = None
    """Name of the engine that has it, or had it last; None for a job that was never submitted."""
    progress: JobProgress | None = None
    """Where its run is; None before its first node, and once the run has ended."""
    ref: JobRef = field(init=False)
    """Its name in events."""
    _entered: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.ref = JobRef(self.id, self.principal, self.folder)

    def advance(self, state: JobState) -> None:
        """Enter `state`, adding the time spent in the one before. Raises ValueError on a step not in NEXT."""
        if state not in NEXT[self.state]:
            raise ValueError(f"job {self.id}: {self.state} can't become {state}")
        now = time.monotonic()
        self.stages[self.state] = self.stages.get(self.state, 0.0) + now - self._entered
        self.state, self._entered, self.progress = state, now, None

    @property
    def in_state_s(self) -> float:
        """Seconds since it entered its state."""
        return time.monotonic() - self._entered

    @property
    def elapsed_s(self) -> float:
        """Seconds from acceptance until the end, or until now."""
        running = 0.0 if self.state.ended else self.in_state_s
        return sum(self.stages.values()) + running


def sorted_by_node(outputs: tuple[Output, ...]) -> list[Output]:
    """By node, whatever order ComfyUI ran them in, so that the first image is always the same one."""
    return sorted(
        outputs,
        key=lambda output: (
            [int(part) if part.isdecimal() and len(part) < 19 else 0 for part in output.node_id.split(":")],
            output.node_id,
            output.index,
        ),
    )
