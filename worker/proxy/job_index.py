"""The jobs that the proxy knows, by their keys, and by their ids. No I/O."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator

from worker.errors import NotFound
from worker.proxy.job import ProxyJob


class ProxyJobIndex:
    """Jobs by key, by caller and id, and by id alone: callers without keys show a token."""

    def __init__(self) -> None:
        self._by_key: dict[str, ProxyJob] = {}
        self._by_id: defaultdict[str, list[ProxyJob]] = defaultdict(list)
        self._open: set[ProxyJob] = set()

    def __iter__(self) -> Iterator[ProxyJob]:
        return iter(list(self._by_key.values()))

    @property
    def open(self) -> set[ProxyJob]:
        """The jobs that have not ended."""
        return self._open

    def open_of(self, caller: str) -> list[ProxyJob]:
        """Return the jobs of a caller that have not ended."""
        return [job for job in self._open if job.caller == caller]

    def open_by_caller(self) -> Counter[str]:
        """Return the numbers of jobs that have not ended."""
        return Counter(job.caller for job in self._open)

    def add(self, job: ProxyJob) -> None:
        """Add a job."""
        self._by_key[job.key] = job
        self._by_id[job.id].append(job)
        if not job.ended.is_set():
            self._open.add(job)

    def mark_ended(self, job: ProxyJob) -> None:
        """Count a job no longer as open."""
        self._open.discard(job)

    def remove(self, job: ProxyJob) -> None:
        """Remove a job, if it is there."""
        self._open.discard(job)
        if self._by_key.pop(job.key, None) is None:
            return
        jobs = self._by_id[job.id]
        jobs.remove(job)
        if not jobs:
            del self._by_id[job.id]

    def get(self, caller: str, job_id: str) -> ProxyJob | None:
        """Return the job with this id of a caller, or None."""
        jobs = self._by_id.get(job_id, ())
        return next((job for job in jobs if job.caller == caller), None)

    def find(self, job_id: str, *, caller: str | None = None, token: str = "") -> ProxyJob:
        """Return a job by its id and its caller, or by its id and its token. Raises NotFound alike for all others."""
        for job in self._by_id.get(job_id, ()):
            if caller is None:
                matches = secrets.compare_digest(job.token.encode(), token.encode(errors="surrogateescape"))
            else:
                matches = job.caller == caller
            if matches and job.collectable:
                return job
        raise NotFound(f"there is no job {job_id[:200]!r}, or it belongs to another caller, or its result has expired")
