"""A job of the proxy: what was requested, the backends that it went to, and its result. No I/O."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from worker.backends.base import JobReference


class AttemptOutcome(StrEnum):
    """How the attempt to run a job on one backend ended.

    - REFUSED: the backend did not accept the job, UNREACHABLE: it did not get it.
    - FAILED: the job ended there with an error that another backend may not have.
    - LOST: the backend accepted the job, or may have, and no longer has it.
    - ENDED: the job ended there, and this is its result.
    """

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    LOST = "lost"
    ENDED = "ended"


@dataclass(slots=True)
class Attempt:
    """One backend that was asked to run a job.

    `reference` is the place of the job there: where it will be, and once `accepted` is true, where it is. `outcome` is
    None while the backend may have the job. `resubmits` means that the job may be sent again if the backend loses it.
    """

    backend: str
    reference: JobReference | None = None
    accepted: bool = False
    outcome: AttemptOutcome | None = None
    reason: str = ""
    resubmits: bool = True

    @property
    def may_have_run(self) -> bool:
        """Whether the job may have run at the backend."""
        return self.outcome not in {AttemptOutcome.REFUSED, AttemptOutcome.UNREACHABLE}

    @property
    def open(self) -> bool:
        """Whether the backend may have the job now."""
        return self.outcome is None


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the proxy reads in a request. Everything else is passed on as it is.

    - `dialect` is the name of the dialect of the response.
    - `template` and `handler` are the names in the request, for routes.
    - `wants_urls` means that the proxy replaces base64 in the result by URLs of its own.
    - `webhook` means that the worker sends the result to a webhook, so that the job goes on without a client.
    - `has_key` means that the request had a key of comfy.org in a header, which is never stored.
    - `sticky` is the value of the header by which a route chooses a side.
    """

    dialect: str = "native"
    template: str = ""
    handler: str = ""
    wants_urls: bool = False
    webhook: bool = False
    has_key: bool = False
    sticky: str = ""


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """The result of a job: HTTP status and body. The body is in memory, or in a file if `path` is set.

    `retry_after_s` is the value of the header `Retry-After`.
    """

    status: int
    size: int
    content_type: str
    data: bytes | None = field(default=None, repr=False)
    path: Path | None = None
    retry_after_s: float | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later, so that a repeated one starts the job again."""
        return self.status >= 500 or self.status == TOO_MANY_REQUESTS


TOO_MANY_REQUESTS = 429


@dataclass(slots=True, eq=False)
class ProxyJob:
    """A job.

    - `id` is the caller's name for it. `key` is unique among all callers, and names the job at its backends.
    - `collectable` means that the caller can fetch the result later, so the job survives a restart of the proxy.
    - `promised` means that the caller was told that the job is accepted, so it is repeated until a backend takes it.
    - `request` is the body, None if it is only in the journal's folder.
    """

    caller: str
    request: bytes | None = field(repr=False)
    facts: RequestFacts = RequestFacts()
    id: str = ""
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    fingerprint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    collectable: bool = False
    follows: bool = False  # whether the caller follows its events, so that they have previews
    promised: bool = False
    created_at: float = field(default_factory=time.time)
    accepted_at: float | None = None
    """Epoch seconds at which a backend has accepted the job, None before, and after a restart of the proxy."""
    attempts: list[Attempt] = field(default_factory=list)
    result: RemoteResult | None = None
    ended_at: float | None = None
    cancelled: bool = False
    """Whether the caller wants the job no more. It is not sent to another backend then."""
    has_files: bool = False
    """Whether files of its result may exist."""
    waiters: int = 0
    """Number of requests that wait for the result."""
    accepted: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when a backend has accepted the job, and when the job has ended."""
    ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    """The task that runs the job."""

    def __post_init__(self) -> None:
        self.id = self.id or self.key

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that may run the job now, None if no backend has it."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].open else None

    @property
    def failed_at(self) -> frozenset[str]:
        """The backends where the job ended with an error that others may not have."""
        return frozenset(attempt.backend for attempt in self.attempts if attempt.outcome is AttemptOutcome.FAILED)

    def add_attempt(self, attempt: Attempt) -> None:
        """Add an attempt in place of earlier ones of its backend that did not get the job, which may be many."""
        self.attempts = [other for other in self.attempts if other.backend != attempt.backend or other.may_have_run]
        self.attempts.append(attempt)

    @property
    def refused(self) -> bool:
        """Whether the job ended with an error before a backend had accepted it, so that its id can be used again."""
        has_failed = self.result is not None and self.result.status >= 400
        return has_failed and not any(attempt.accepted for attempt in self.attempts)

    @property
    def lost(self) -> tuple[Attempt, ...]:
        """The backends that had accepted the job, or may have, and have lost it."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome is AttemptOutcome.LOST)

    def accept(self) -> None:
        """Record that a backend has accepted the job, and wake all that wait for this."""
        self.accepted_at = time.time()
        self.accepted.set()

    def end(self, result: RemoteResult) -> None:
        """Store the result, and wake all that wait for it."""
        self.result, self.ended_at = result, time.time()
        self.accepted.set()
        self.ended.set()
