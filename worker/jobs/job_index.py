"""The index of jobs: each under its owner's name and its id, and under its token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import IdTaken, InvalidField, NotFound
from worker.job import Job, JobRef, JobRequest, JobState

Key = tuple[str, str]
"""(principal, id)."""
KEY = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)


@dataclass(slots=True)
class JobEntry:
    job: Job
    task: asyncio.Task[None] | None = None
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the job is written down, needs no writing down, or could not be (it has ended with the error then)."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hangup: asyncio.TimerHandle | None = None


class JobIndex:
    """Keyed by (principal, id): an id means nothing to anybody but the one who chose or was given it."""

    def __init__(self) -> None:
        self._by_key: dict[Key, JobEntry] = {}
        self._by_token: dict[str, Job] = {}
        self.of_first_release = False
        """Whether a job was stored by a release before v0.2.0, whose fingerprints followed other rules."""

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self._by_key.values())

    def add(self, job: Job) -> JobEntry:
        entry = self._by_key[job.principal, job.id] = JobEntry(job)
        self._by_token[job.token] = job
        self.of_first_release |= len(job.request.former_fingerprints) > 1
        return entry

    def remove(self, key: Key) -> Job:
        job = self._by_key.pop(key).job
        if self._by_token.get(job.token) is job:  # else that of the job that took its place
            del self._by_token[job.token]
        return job

    def entry_of(self, job: Job) -> JobEntry:
        return self._by_key[job.principal, job.id]

    def get(self, ref: JobRef) -> Job | None:
        """The job that an event is about; None once it is forgotten."""
        entry = self._by_key.get((ref.principal, ref.id))
        return entry.job if entry is not None and entry.job.folder == ref.folder else None

    def of_principal(self, principal: str) -> list[Job]:
        """The jobs of a principal, the newest first."""
        jobs = [entry.job for entry in self if entry.job.principal == principal]
        return sorted(jobs, key=lambda job: job.created_at, reverse=True)

    def under_way(self) -> Iterator[Job]:
        """The jobs that have not ended."""
        return (entry.job for entry in self if not entry.job.state.ended)

    def find_same(self, request: JobRequest, principal: str) -> JobEntry | None:
        """The job that the same request started under the same id. Raises InvalidField, IdTaken."""
        if request.job_id is None:
            return None
        if not KEY.fullmatch(request.job_id):
            raise InvalidField("an id has 1 to 128 letters, digits or any of . : @ + - _")
        entry = self._by_key.get((principal, request.job_id))
        if entry is not None and not entry.job.request.same_body(request):
            raise IdTaken(f"the id {request.job_id!r} belongs to another request")
        return entry

    def find(self, job_id: str, token: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for one whose token this is not."""
        job = self._by_token.get(token)  # of 192 random bits: how long the search takes tells nothing
        if job is None or job.id != job_id:
            raise NotFound(f"no job {job_id!r}")
        return job

    def find_owned(self, job_id: str, principal: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for another's."""
        entry = self._by_key.get((principal, job_id))
        if entry is None:
            raise NotFound(f"no job {job_id!r}")
        return entry.job


def may_run_again(entry: JobEntry) -> bool:
    """It failed for a reason that may have passed, or was dropped because its client left, who is back now."""
    job = entry.job
    if job.error is None or job.state is JobState.DELIVERY_PENDING or not entry.ended.is_set():
        return False
    return job.error.retryable or (job.state is JobState.CANCELLED and job.request.key is None)
