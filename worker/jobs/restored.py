"""What a worker does with the jobs of its earlier lives: which it serves, which it runs, and which it drops."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker.job import Job
from worker.jobs.journal_rows import StoredJob


@dataclass(frozen=True, slots=True)
class RestoredJobs:
    """Jobs that have ended, each with the time of its end; jobs to run; and jobs that no client can ask for."""

    ended: list[tuple[Job, float]]
    unfinished: list[Job]
    dropped: list[Job]

    @classmethod
    def of(cls, stored: list[StoredJob]) -> RestoredJobs:
        """Sort jobs, the earliest first. Of two with one id, as a crash may leave them, the later one counts."""
        by_key = {(one.job.principal, one.job.id): one for one in stored}
        latest = [one for one in stored if by_key[one.job.principal, one.job.id] is one]
        ended = [(one.job, one.ended_at) for one in latest if one.ended_at is not None]
        unfinished = [one.job for one in latest if one.ended_at is None and one.job.collectable]
        kept = {job.folder for job in [*(job for job, _ in ended), *unfinished]}
        return cls(ended, unfinished, [one.job for one in stored if one.job.folder not in kept])

    @property
    def folders(self) -> set[str]:
        """Names of the folders of the jobs that are kept."""
        return {job.folder for job in [*(job for job, _ in self.ended), *self.unfinished]}


async def remove_strays(paths: Iterable[Path]) -> None:
    """Remove folders, one after the other, without the event loop."""
    for path in paths:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
