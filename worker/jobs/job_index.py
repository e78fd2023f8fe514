"""The index of the worker's jobs, by owner and id and by token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import Forbidden, IdTaken, InvalidField, NotFound
from worker.job import Job, JobRef, JobRequest, JobState

Key = tuple[str, str]
"""The owner of a job (principal) and its id."""
KEY = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
"""Matches a valid job id."""


def check_job_id(text: str) -> None:
    """Raise InvalidField unless a text is a valid job id."""
    if not KEY.fullmatch(text):
        raise InvalidField("a job id has 1 to 128 characters: letters, digits and . : @ + - _")


@dataclass(slots=True)
class JobEntry:
    """A job in the index, with its task and the events that requests wait for."""

    job: Job
    task: asyncio.Task[None] | None = None
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the journal has the job, or the job needs no row there, or has ended because none could be written."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hangup: asyncio.TimerHandle | None = None
    """Timer that cancels the job after its last client has disconnected."""

    def abandon(self) -> None:
        """Cancel the job if no client waits for it."""
        if self.task and not self.job.waiters:
            self.task.cancel()


class JobIndex:
    """Jobs by (principal, id). Two principals may use the same id for different jobs."""

    def __init__(self) -> None:
        self._by_key: dict[Key, JobEntry] = {}
        self._by_token: dict[str, Job] = {}
        self._children: dict[Key, list[JobEntry]] = {}
        """The prompts of each call of a handler that have not been removed."""
        self.has_first_release_job = False
        """Whether a release before v0.2.0 stored one of the jobs. Its fingerprints follow other rules."""

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self._by_key.values())

    def add(self, job: Job) -> JobEntry:
        """Add a job and return its entry."""
        entry = self._by_key[job.principal, job.id] = JobEntry(job)
        self._by_token[job.token] = job
        if job.request.parent is not None:
            self._children.setdefault((job.principal, job.request.parent), []).append(entry)
        self.has_first_release_job |= len(job.request.former_fingerprints) > 1
        return entry

    def remove(self, key: Key) -> Job:
        """Remove the job with this key and return it. Raises KeyError."""
        entry = self._by_key.pop(key)
        job = entry.job
        siblings = self._children.get((job.principal, job.request.parent or ""), [])
        if entry in siblings:
            siblings.remove(entry)
        self._children.pop(key, None)
        if self._by_token.get(job.token) is job:  # a newer job may have taken over the token
            del self._by_token[job.token]
        return job

    def entry_of(self, job: Job) -> JobEntry:
        """Return the entry of a job."""
        return self._by_key[job.principal, job.id]

    def get(self, ref: JobRef) -> Job | None:
        """Return the job that an event is about, or None once it was removed."""
        entry = self._by_key.get((ref.principal, ref.id))
        return entry.job if entry is not None and entry.job.folder == ref.folder else None

    def children_of(self, job: Job) -> list[Job]:
        """Return the prompts that the handler of a job has sent."""
        return [entry.job for entry in self._children.get((job.principal, job.id), ())]

    def abandon_children(self, job: Job) -> None:
        """Cancel the prompts that the handler of a job has sent and that have not ended."""
        for entry in self._children.get((job.principal, job.id), ()):
            entry.abandon()

    def parent_of(self, job: Job) -> Job | None:
        """Return the job whose handler has sent a job, or None."""
        entry = self._by_key.get((job.principal, job.request.parent)) if job.request.parent is not None else None
        return entry.job if entry is not None else None

    def check_parent(self, principal: str, parent: str) -> None:
        """Raise Forbidden unless a call of a handler with this id runs, so that it may send prompts."""
        entry = self._by_key.get((principal, parent))
        if entry is None or entry.job.request.handler is None or entry.job.state.ended:
            raise Forbidden("the call of the handler has ended, so that it cannot send prompts any more")

    def of_principal(self, principal: str) -> list[Job]:
        """Return the jobs of a principal, the newest first."""
        jobs = [entry.job for entry in self if entry.job.principal == principal]
        return sorted(jobs, key=lambda job: job.created_at, reverse=True)

    def unfinished(self) -> Iterator[Job]:
        """Yield the jobs that have not ended."""
        return (entry.job for entry in self if not entry.job.state.ended)

    def find_same(self, request: JobRequest, principal: str) -> JobEntry | None:
        """Return the job that the same request has started under its own id, or None.

        Raises InvalidField for an invalid id, and IdTaken when a different request has started the job with this id.
        """
        if request.job_id is None:
            return None
        check_job_id(request.job_id)
        entry = self._by_key.get((principal, request.job_id))
        if entry is not None and not entry.job.request.same_body(request):
            raise IdTaken(f"the id {request.job_id!r} belongs to another request")
        return entry

    def find(self, job_id: str, token: str) -> Job:
        """Return the job with this id and token.

        Raises the same NotFound for a wrong token and for a job that does not exist.
        """
        job = self._by_token.get(token)  # 192 random bits, so the time of the lookup reveals nothing
        if job is None or job.id != job_id:
            raise NotFound(f"no job {job_id!r}")
        return job

    def find_owned(self, job_id: str, principal: str) -> Job:
        """Return a principal's job. Raises the same NotFound for the job of another principal and for none."""
        entry = self._by_key.get((principal, job_id))
        if entry is None:
            raise NotFound(f"no job {job_id!r}")
        return entry.job


def may_run_again(entry: JobEntry) -> bool:
    """Return whether the job runs again when its request is repeated.

    This is so if it failed for a reason that may have passed, or was cancelled because its client had disconnected.
    """
    job = entry.job
    if job.error is None or job.state is JobState.DELIVERY_PENDING or not entry.ended.is_set():
        return False
    return job.error.retryable or (job.state is JobState.CANCELLED and job.request.key is None)
