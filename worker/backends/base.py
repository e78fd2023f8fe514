"""The interface of a backend: a place that accepts jobs, runs them, and returns their results.

A job is the JSON body of `POST /generate/sync` in any dialect (docs/http.md). Its result is the HTTP status and the
body that a worker would send. So a caller does not depend on the backend. What a backend cannot do is a field of its
`Capabilities`, and the operation raises OperationUnsupported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

import orjson

from worker.errors import OperationUnsupported

JSON = "application/json"


class Uniqueness(StrEnum):
    """Whether a submission that is sent again starts a second run, after its first answer was lost.

    - JOB: never. The backend finds the job by its key.
    - WORKER: not as long as the worker that got the first submission lives.
    - NONE: it may.
    """

    JOB = "job"
    WORKER = "worker"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do. The defaults describe a worker that is reached directly."""

    events: bool = True
    """Whether the events of a running job can be followed: its node, its step, previews and outputs."""
    tells_queued: bool = True
    """Whether a job that waits can be told from one that runs. Without it, a job is RUNNING until it ends."""
    cancels_running: bool = True
    """Whether a job that already runs can be cancelled."""
    attaches: bool = True
    """Whether a job can be followed by its reference from another process, or after a restart of this one."""
    uniqueness: Uniqueness = Uniqueness.JOB
    price: bool = False
    """Whether the price of the backend's GPUs is known."""
    load: bool = True
    """Whether the backend reports how many jobs wait there."""
    answers: bool = False
    """Whether a worker answers requests that start no job, such as `POST /validate`."""
    largest_request: int | None = None
    """Bytes of the largest body that the backend accepts, None if only the worker limits it."""
    largest_result: int | None = None
    """Bytes of the largest result. Larger ones need a bucket."""
    result_s: float | None = None
    """Seconds for which the backend keeps a result, None if the worker's WORKER_RESULT_TTL decides."""


@dataclass(frozen=True, slots=True)
class JobBody:
    """A job that is sent to a backend.

    - `key` is unique among all jobs of all callers. It is the id of the job at a backend that lets its client choose
      one, and the idempotency key of every submission.
    - `json` is the body of `POST /generate/sync`, without an id.
    - `headers` are those of the request that belong to the job, such as a key of comfy.org.
    - `follows` means that its events will be followed, so that they have previews.
    """

    key: str
    json: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    follows: bool = False


@dataclass(frozen=True, slots=True)
class JobReference:
    """The place of a job at its backend. It is stored, so that a restarted process finds the job.

    `id` is the backend's id, `token` the secret that authorizes requests about the job, `address` the worker that has
    it, and `extra` anything else, as JSON. A backend uses the fields that it needs.
    """

    id: str
    token: str = field(default="", repr=False)
    address: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> bytes:
        """Return the reference for a journal."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the reference in a journal. Raises ValueError or TypeError for anything else."""
        return cls(**orjson.loads(data))


class RemoteState(StrEnum):
    """State of a job, as its backend reports it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job will not run any more."""
        return self not in {RemoteState.QUEUED, RemoteState.RUNNING}


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """State and progress of a job.

    `progress` has the fields of a 202 response, as far as the backend reports them: `state`, `position`, `node`,
    `step`, `eta_s`, `eta_p90_s`.
    """

    state: RemoteState
    progress: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """An event of a job, as docs/http.md describes it. `number` is for `Last-Event-ID`, `data` is JSON."""

    number: int
    name: str
    data: bytes


@dataclass(slots=True)
class RemoteResponse:
    """The result of a job: the HTTP status and the body that a worker sends. The body can be read once.

    While its context lasts, `chunks` yields the body in pieces. They raise BackendUnreachable if the connection breaks.
    """

    status: int
    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    retry_after_s: float | None = None
    """Value of the header `Retry-After`."""

    async def read(self) -> bytes:
        """Return the whole body. Raises BackendUnreachable."""
        return b"".join([chunk async for chunk in self.chunks])

    @classmethod
    def of(cls, status: int, body: bytes) -> Self:
        """Return a response whose JSON body is in memory."""

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        return cls(status, chunks())


@dataclass(frozen=True, slots=True)
class RemoteCancellation:
    """What became of a request to cancel.

    `cancelled` is false if the job had ended before. With `stopping`, a node that ignores its interrupt still runs.
    """

    cancelled: bool
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """Price of one GPU of a backend in US dollars an hour, with its source and the date of that (`2026-08-20`)."""

    usd_hour: float
    source: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class BackendLoad:
    """Numbers of jobs of a backend, those of other callers included. `workers` is None if it is not known."""

    queued: int
    running: int
    workers: int | None = None


Result = AbstractAsyncContextManager[RemoteResponse]
"""An open result. Leaving its context closes the connection."""


class Backend(ABC):
    """A place that accepts jobs. It is opened once in a process, and its methods may run at the same time.

    Every method raises BackendUnreachable if the backend does not respond, and those with a reference raise JobLost if
    the job does not exist there any more. A cancelled method closes its connection and cancels no job.
    """

    kind: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        """Name in routes, metrics, logs and responses."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do. It does not change while the backend is open."""

    async def locate(self, job: JobBody) -> JobReference | None:
        """Return the reference that a job will have, if the backend knows it before it gets the job, else None.

        A caller that stores it before `submit` finds the job after a crash between the two: it submits the job again
        with this reference. Until then, the methods about a job raise SubmissionUncertain. Raises BackendRefused.
        """
        return None

    @abstractmethod
    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Start a job, and return its reference as soon as the backend has accepted it.

        `located` is the result of `locate`. If the job is sent again with the same key, `Capabilities.uniqueness` says
        whether the backend returns the job that it has. Raises BackendRefused, and SubmissionUncertain if the answer
        was lost.
        """

    @abstractmethod
    async def status(self, reference: JobReference) -> RemoteStatus:
        """Return state and progress of a job."""

    async def attach(self, reference: JobReference) -> RemoteStatus:
        """Return the status of a job that another process has submitted. Raises OperationUnsupported."""
        if not self.capabilities.attaches:
            raise OperationUnsupported(f"{self.name}: a job of {self.kind} cannot be followed by another process")
        return await self.status(reference)

    def events(self, reference: JobReference, after: int = 0) -> AsyncIterator[RemoteEvent]:
        """Yield the events of a job with a number above `after`, until its connection ends.

        The last event is `result`. Raises OperationUnsupported.
        """
        raise OperationUnsupported(f"{self.name}: {self.kind} has no events of a running job")

    @abstractmethod
    def result(self, reference: JobReference) -> Result:
        """Wait for the end of a job, and open its result. An error of the job is a result with its HTTP status."""

    @asynccontextmanager
    async def run(self, job: JobBody, located: JobReference | None = None) -> AsyncIterator[RemoteResponse]:
        """Start a job and open its result, with one request where the backend has one for both.

        Raises BackendRefused and SubmissionUncertain. Use it with a backend whose uniqueness is JOB, or for a job that
        may be lost, because the reference is not known before the end.
        """
        reference = await self.submit(job, located)
        async with self.result(reference) as response:
            yield response

    @abstractmethod
    async def cancel(self, reference: JobReference) -> RemoteCancellation:
        """Cancel a job. Raises OperationUnsupported for one that runs, if the backend cannot cancel such jobs."""

    async def price(self) -> GpuPrice:
        """Return the price of a GPU. Raises OperationUnsupported if it is not known."""
        raise OperationUnsupported(f"{self.name}: the price is not known; set `gpu` or `usd_hour` of the backend")

    async def load(self) -> BackendLoad:
        """Return the numbers of jobs. Raises OperationUnsupported."""
        raise OperationUnsupported(f"{self.name}: {self.kind} does not report its load")

    def ask(self, method: str, path: str, body: bytes | None = None) -> Result:
        """Send a request that starts no job, such as `POST /validate`, and open the answer.

        Raises OperationUnsupported if the backend has no such routes.
        """
        raise OperationUnsupported(f"{self.name}: {self.kind} has no route {path}")
