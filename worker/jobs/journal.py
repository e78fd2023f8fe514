"""The journal: accepted jobs and their results on disk. A row is written before the response, and survives kill -9."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from worker.errors import JournalUnavailable, StartupError
from worker.extra_data import ExtraData
from worker.inputs import InputStore
from worker.job import Job, JobState, OutputMode
from worker.jobs.journal_file import JOBS, JournalFile, Statement, is_locked
from worker.jobs.journal_rows import (
    READ,
    VERSION,
    StoredJob,
    UnreadableRow,
    pack_later_fields,
    pack_request,
    pack_result,
    read_row,
)

log = logging.getLogger(__name__)

BUSY_S = 5.0
"""Seconds that a job waits while another process has locked the journal. Other requests are served meanwhile."""
START_S = 30.0
"""Seconds that the start waits for the lock when it has to write: after an update, or to delete old rows."""
RETRY_S = 0.05
"""Seconds between two attempts to get the lock."""
CATCH_UP_S = 1.0
"""Seconds between two attempts to write pending changes."""
MOST_ENDED = 10_000
"""Number of ended jobs that are read. Older ones are deleted."""


@dataclass(slots=True)
class JournaledJob:
    """A job that has a row. `ended_at` is in epoch seconds, None while the row says that the job has not ended."""

    job: Job
    ended_at: float | None = None


class Journal:
    """The journal in SQLite's WAL mode.

    A commit takes some ten microseconds. It survives the end of this process, and may be lost only when the machine
    fails. Credentials are not stored, because the stored fields of a request are listed one by one.

    After the start, no call waits for another process. A file that is damaged while the worker runs is replaced by a
    new one with the jobs in memory.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S, start_s: float = START_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._inputs = InputStore(path.parent / "inputs")
        self._file = JournalFile(path, start_s, JOBS)
        self._journaled: dict[str, JournaledJob] = {}
        """The jobs that have a row in the journal, by the name of their folder."""
        self._rows_set_aside = 0
        self._pending: list[Statement] = []
        """Changes that could not be written, in order, because the disk was full or the file locked."""
        self._has_pending = asyncio.Event()

    def __enter__(self) -> Self:
        """Open the file. Blocks while another process has it locked, at most `start_s` seconds. Raises StartupError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._write_pending()
        self._file.close()

    @property
    def set_aside(self) -> int:
        """Number of rows that could not be read at the start, plus the files that were moved aside."""
        return self._rows_set_aside + self._file.set_aside

    async def record_accepted(self, job: Job) -> None:
        """Write a job's row. From then on the job is run to its end, even after a restart.

        Raises JournalUnavailable when the row cannot be written, or when the file is locked for `busy_s` seconds.
        """
        until = time.monotonic() + self._busy_s
        while True:
            try:
                return self._accept(job)
            except sqlite3.Error as error:
                if not is_locked(error) or time.monotonic() >= until:
                    raise JournalUnavailable(f"the job cannot be stored: {error}") from error
            await asyncio.sleep(RETRY_S)

    def record_submitted(self, job: Job) -> None:
        """Record the engine and the prompt id of a job that has a row.

        After a restart, the worker looks for this prompt on the engine before it sends the job again.
        """
        if job.folder in self._journaled:
            values = (job.prompt_id, job.engine, VERSION, job.folder)
            self._write("UPDATE jobs SET prompt_id = ?, engine = ?, version = ? WHERE folder = ?", values)

    def record_ended(self, job: Job) -> None:
        """Record the result of a job that has a row. Call this before the client is notified."""
        if job.folder not in self._journaled and job.state is JobState.DELIVERY_PENDING:
            # The job had no row, because its result was to be sent inline. Now its client may request it.
            self._journaled[job.folder] = JournaledJob(job)
            self._write(*_insert_job(job))
        journaled = self._journaled.get(job.folder)
        # The row of a job that is handed back stays unfinished, so that the job runs after the restart.
        if journaled is not None and not job.handed_back:
            journaled.ended_at = time.time()
            self._write(*_update_result(journaled))

    def delete(self, *jobs: Job) -> None:
        """Delete the rows of those jobs that have one."""
        folders = [job.folder for job in jobs if self._journaled.pop(job.folder, None) is not None]
        if folders:
            self._write("DELETE FROM jobs WHERE folder IN (SELECT value FROM json_each(?))", (orjson.dumps(folders),))

    def has_row(self, job: Job) -> bool:
        """Return whether the job has a row."""
        return job.folder in self._journaled

    async def retry_writes(self) -> None:
        """Write pending changes as soon as possible, until the task is cancelled."""
        while True:
            await self._has_pending.wait()
            await asyncio.sleep(CATCH_UP_S)
            self._write_pending()
            if not self._pending:
                self._has_pending.clear()

    def _accept(self, job: Job) -> None:
        """Write the job's row. Raises sqlite3.Error."""
        self._execute(*_insert_job(job))
        self._journaled[job.folder] = JournaledJob(job)

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        """Write a change, or keep it until it can be written.

        If the worker is killed before that, the job may run again.
        """
        self._pending.append((sql, values))
        self._write_pending()

    def _write_pending(self) -> None:
        """Write the pending changes in order, until one fails. The rest is retried by `retry_writes`."""
        try:
            while self._pending:
                statement = self._pending[0]
                self._execute(*statement)
                # If a new file was started, it contains the change already, and the list was cleared.
                if self._pending and self._pending[0] is statement:
                    del self._pending[0]
        except sqlite3.Error as error:
            log.error("%d changes could not be written to the journal and are retried: %s", len(self._pending), error)
            self._has_pending.set()

    def _execute(self, sql: str, values: tuple[object, ...]) -> None:
        """Execute a statement, in a new file if the current one is missing or damaged. Raises sqlite3.Error."""
        if self._file.needs_replacement():
            self._replace_file("it was removed, or replaced by another file")
        try:
            self._file.execute(sql, values)
        except sqlite3.Error as error:
            if not self._file.needs_replacement(error):
                raise
            self._replace_file(str(error))
            # Every other change is about a job in memory, so the new file has it already.
            if sql.startswith("INSERT"):
                self._file.execute(sql, values)

    def _replace_file(self, reason: str) -> None:
        """Start a new file with all jobs in memory. These include the pending changes. Raises sqlite3.Error."""
        try:
            self._file.replace(reason, self._all_rows())
        except StartupError as error:
            raise sqlite3.OperationalError(str(error)) from error
        self._pending.clear()

    def _all_rows(self) -> Iterator[Statement]:
        """Yield the statements that write all jobs in memory."""
        for journaled in self._journaled.values():
            yield _insert_job(journaled.job)
            if journaled.ended_at is not None:
                yield _update_result(journaled)

    def jobs(self) -> list[StoredJob]:
        """Return the jobs of earlier processes. Blocks. Raises StartupError.

        The ended ones come first, in the order of their ends, and then the others in the order of their creation. Of
        the ended jobs the latest 10,000 are read, and the rows of the others are deleted. An unreadable row stays in
        the file for other versions of the worker. It is logged and counted in `set_aside`.
        """
        jobs_or_none = [self._read(row) for row in self._readable_rows()]
        stored = [stored_job for stored_job in jobs_or_none if stored_job is not None]
        for stored_job in stored:
            self._journaled[stored_job.job.folder] = JournaledJob(stored_job.job, stored_job.ended_at)
        return sorted(stored, key=lambda item: (item.ended_at is None, item.ended_at or item.job.created_at))

    def _readable_rows(self) -> list[sqlite3.Row]:
        """Return all rows. From a damaged file, return those before the damage, and start a new file with them.

        Raises StartupError.
        """
        rows: list[sqlite3.Row] = []
        try:
            with self._file.waiting_for_locks():
                self._delete_oldest()
                rows.extend(self._file.execute("SELECT * FROM jobs"))
        except sqlite3.Error as error:
            if not self._file.needs_replacement(error):
                raise StartupError(f"the journal {self._path} cannot be read: {error}") from error
            rows = rows or self._rows_before_damage()
            self._file.replace(str(error), map(_insert_row, rows))
        return rows

    def _rows_before_damage(self) -> list[sqlite3.Row]:
        """Return the rows of a damaged file that can be read before the first error."""
        rows: list[sqlite3.Row] = []
        with suppress(sqlite3.Error):
            rows.extend(self._file.execute("SELECT * FROM jobs"))
        return rows

    def _delete_oldest(self) -> None:
        """Delete the rows of ended jobs except the latest MOST_ENDED. Raises sqlite3.Error if the file is damaged."""
        ended = f"typeof(ended_at) = 'real' AND version IN ({', '.join(map(str, sorted(READ)))})"
        older = f"SELECT folder FROM jobs WHERE {ended} ORDER BY ended_at DESC LIMIT -1 OFFSET {MOST_ENDED}"  # noqa: S608
        try:
            if self._file.execute(older).fetchone() is not None:  # otherwise no lock is needed
                self._file.execute(f"DELETE FROM jobs WHERE folder IN ({older})")  # noqa: S608
        except sqlite3.Error as error:
            if self._file.needs_replacement(error):
                raise
            log.warning("old rows of the journal could not be deleted: %s", error)

    def _read(self, row: sqlite3.Row) -> StoredJob | None:
        """Return the job in a row, or None for an unreadable row."""
        try:
            return read_row(row, self._inputs.read_files)
        except (UnreadableRow, OSError) as error:
            self._rows_set_aside += 1
            log.error(
                "a job in the journal cannot be read and is skipped (%r, id %r): %s", row["folder"], row["id"], error
            )
            return None


def needs_row(job: Job) -> bool:
    """Return whether a job needs a row in the journal, because a client may request it or its files later."""
    return job.collectable or job.request.output_mode is OutputMode.URL


def _insert_job(job: Job) -> Statement:
    """Return the statement that writes the row of a job that has not ended, replacing an existing row."""
    request = job.request
    if not job.collectable:  # it does not run again after a restart, and its inputs may be secret
        request = replace(request, prompt={}, urls={}, arguments="", extra=ExtraData())
    row: dict[str, object] = {
        "folder": job.folder,
        "principal": job.principal,
        "id": job.id,
        "token": job.token,
        "collectable": job.collectable,
        "workload": job.workload,
        "created_at": job.created_at,
        "prompt_id": job.prompt_id,
        "request": pack_request(request),
        "version": VERSION,
        "engine": job.engine,
        "more_request": pack_later_fields(request),
    }
    return JOBS.insert_statement(row, row.values())


def _insert_row(row: sqlite3.Row) -> Statement:
    """Return the statement that writes a copy of a row."""
    return JOBS.insert_statement(row.keys(), tuple(row))


def _update_result(journaled: JournaledJob) -> Statement:
    """Return the statement that writes the result of a job that has ended into its row."""
    values = (journaled.ended_at, *pack_result(journaled.job), journaled.job.folder)
    return "UPDATE jobs SET ended_at = ?, result = ?, more_result = ? WHERE folder = ?", values
