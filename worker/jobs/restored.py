"""The jobs of earlier processes of the worker: which are served, which are run and which are dropped."""

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
    """Jobs that have ended with the times of their ends, jobs to run, and jobs that no client can request."""

    ended: list[tuple[Job, float]]
    unfinished: list[Job]
    dropped: list[Job]

    @classmethod
    def of(cls, stored: list[StoredJob]) -> RestoredJobs:
        """Divide the stored jobs, which are in the order of their ends, into the three groups.

        A crash may leave two jobs with one id. Then the last one is used.
        """
        by_key = {(entry.job.principal, entry.job.id): entry for entry in stored}
        latest = [entry for entry in stored if by_key[entry.job.principal, entry.job.id] is entry]
        ended = [(entry.job, entry.ended_at) for entry in latest if entry.ended_at is not None]
        unfinished = [entry.job for entry in latest if entry.ended_at is None and entry.job.collectable]
        kept_folders = {job.folder for job in [*(job for job, _ in ended), *unfinished]}
        return cls(ended, unfinished, [entry.job for entry in stored if entry.job.folder not in kept_folders])

    @property
    def folders(self) -> set[str]:
        """Names of the folders of the jobs that are kept."""
        return {job.folder for job in [*(job for job, _ in self.ended), *self.unfinished]}


async def remove_strays(paths: Iterable[Path]) -> None:
    """Remove folders one after the other, in a thread."""
    for path in paths:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
