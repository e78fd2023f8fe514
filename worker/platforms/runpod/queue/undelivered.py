"""The jobs that were taken and whose results RunPod has not accepted yet, on disk.

A record is made when a job is taken, gets the result when there is one, and is removed when RunPod has accepted it. So
a worker that was restarted knows what it owes. Records have no data of the request.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from worker.bodies import in_thread
from worker.errors import DiskFull, ResourcesExhausted

log = logging.getLogger(__name__)

FOLDER = "undelivered"
"""Folder in the state folder."""
LONGEST_S = 24 * 3600.0
"""Age in seconds after which a record is dropped. RunPod's default for the life of a job is a day."""
PART = ".part"
"""Suffix of a file that is being written."""


@dataclass(frozen=True, slots=True)
class UndeliveredResult:
    """A job that was taken, and its result, which is None until the job has ended."""

    job_id: str
    body: bytes | None


class UndeliveredResults:
    """Records in a folder, one file for each job: a line of JSON with the id, and the result."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def begin(self, job_id: str) -> None:
        """Record that a job was taken. A disk that is full is only logged: the job is run all the same."""
        await self._write(job_id, b"")

    async def store(self, job_id: str, body: bytes) -> None:
        """Record the result of a job. A disk that is full is only logged: the result is sent all the same."""
        await self._write(job_id, body)

    async def remove(self, job_id: str) -> None:
        """Remove the record of a job."""
        await in_thread(lambda: self._path(job_id).unlink(missing_ok=True))

    async def load(self) -> list[UndeliveredResult]:
        """Return the records, the oldest first. Drop those that are damaged or too old."""
        return await in_thread(self._load)

    async def _write(self, job_id: str, body: bytes) -> None:
        try:
            await in_thread(lambda: self._replace(job_id, body))
        except (OSError, DiskFull, ResourcesExhausted) as error:
            log.error("the result of job %s cannot be kept on disk, so a restart would lose it: %s", job_id, error)

    def _replace(self, job_id: str, body: bytes) -> None:
        """Write a record in one step, so that a crash leaves the old or the new one. Blocks."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(job_id)
        part = path.with_suffix(PART)
        with part.open("wb") as file:
            file.write(orjson.dumps({"id": job_id}) + b"\n")
            file.write(body)
        part.replace(path)

    def _load(self) -> list[UndeliveredResult]:
        """Blocks."""
        if not self._folder.is_dir():
            return []
        results = []
        for path in sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime):
            result = _read(path) if path.suffix != PART and time.time() - path.stat().st_mtime < LONGEST_S else None
            if result is None:
                log.warning("the record %s is damaged or too old, and is dropped", path.name)
                path.unlink(missing_ok=True)
            else:
                results.append(result)
        return results

    def _path(self, job_id: str) -> Path:
        """Return the path of a record. An id may have any characters."""
        return self._folder / hashlib.sha256(job_id.encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> UndeliveredResult | None:
    """Return the record in a file, or None if it is damaged. Blocks."""
    head, _, body = path.read_bytes().partition(b"\n")
    try:
        job_id = orjson.loads(head)["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return UndeliveredResult(job_id, body or None) if isinstance(job_id, str) else None
