"""The results of jobs: in memory, or in files if they are large or have to survive a restart."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson

from worker.backends.base import RemoteResponse
from worker.bodies import in_thread
from worker.errors import DiskFull, ResourcesExhausted
from worker.proxy.job import ProxyJob, RemoteResult

log = logging.getLogger(__name__)

PART = ".part"
"""Suffix of a file that is not complete yet."""
IN_MEMORY = 1024 * 1024
"""Largest result in bytes that is kept in memory until it is sent."""
ON_LOOP = 64 * 1024
"""Largest piece in bytes that is written to a file on the event loop, because a thread would take longer."""

SMALL = 4 * 1024
"""Largest result in bytes that stays in memory beside its file, such as most errors."""


class ResultStore:
    """Files of results in one folder, by the keys of their jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def store(self, job: ProxyJob, response: RemoteResponse) -> RemoteResult:
        """Read a result to its end. Raises BackendUnreachable if its connection breaks.

        The backend knows the job by its key, and its caller by its id, so that the id in the result is replaced. If the
        disk is full, a result of up to IN_MEMORY bytes stays in memory. A larger one raises OSError or DiskFull.
        """
        head, chunks = bytearray(), response.chunks
        async for chunk in chunks:
            head += chunk
            if len(head) > IN_MEMORY:
                break
        data, is_whole = with_own_id(job, bytes(head)), len(head) <= IN_MEMORY
        result = RemoteResult(response.status, len(data), response.content_type, data, None, response.retry_after_s)
        if is_whole and not job.collectable:
            return result
        path, job.has_files = self.path(job.key), True
        try:
            size = await self._write(path, data, chunks)
        except (OSError, DiskFull, ResourcesExhausted) as error:
            if not is_whole:
                raise
            log.error("the result of job %s stays in memory: %s", job.key, error)
            return result
        return replace(result, size=size, data=data if size <= SMALL else None, path=path)

    async def keep(self, job: ProxyJob, status: int, data: bytes) -> RemoteResult:
        """Store a JSON result that was made here."""
        return await self.store(job, RemoteResponse.of(status, data))

    def path(self, key: str) -> Path:
        """Return the file of a result."""
        return self._folder / f"{key}.json"

    def outputs_folder(self, key: str) -> Path:
        """Return the folder of the output files of a result."""
        return self._folder / key

    async def remove_unknown(self, keys: Collection[str]) -> None:
        """Remove the files of all results but those of jobs with these keys: a process that was killed leaves some."""
        await in_thread(partial(self._remove_unknown, keys))

    def _remove_unknown(self, keys: Collection[str]) -> None:
        for entry in self._folder.iterdir() if self._folder.is_dir() else ():
            if entry.suffix == PART or entry.stem not in keys:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)

    async def remove(self, key: str) -> None:
        """Remove the files of a result, if there are any."""
        await in_thread(partial(self._remove, key))

    def _remove(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)
        shutil.rmtree(self.outputs_folder(key), ignore_errors=True)

    async def _write(self, path: Path, data: bytes, chunks: AsyncIterator[bytes]) -> int:
        """Write a result to a file that appears when it is complete. Return its size in bytes."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial_path = path.with_suffix(PART)
        size = len(data)
        try:
            with partial_path.open("wb") as file:
                await _write_piece(file.write, data)
                async for chunk in chunks:
                    size += len(chunk)
                    await _write_piece(file.write, chunk)
            partial_path.rename(path)
        finally:
            partial_path.unlink(missing_ok=True)
        return size


async def _write_piece(write: Callable[[bytes], int], data: bytes) -> None:
    """Write a piece, in a thread if it is large."""
    if len(data) <= ON_LOOP:
        write(data)
    else:
        await in_thread(partial(write, data))


def with_own_id(job: ProxyJob, data: bytes) -> bytes:
    """Return a result with the caller's id of the job in place of its key, which is random and equals no other text."""
    if job.id == job.key:
        return data
    return data.replace(f'"id":"{job.key}"'.encode(), b'"id":' + orjson.dumps(job.id))
