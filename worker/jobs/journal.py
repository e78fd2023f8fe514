"""What was accepted and what became of it, on disk: a row is there before its answer is, and outlives a kill -9."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from worker.errors import JournalUnavailable, StartupError
from worker.inputs import InputStore
from worker.job import Job, JobState, OutputMode
from worker.jobs.journal_file import JournalFile, Statement, is_locked
from worker.jobs.journal_rows import (
    READ,
    VERSION,
    StoredJob,
    UnreadableRow,
    pack_more,
    pack_request,
    pack_result,
    read_row,
)

log = logging.getLogger(__name__)

BUSY_S = 5.0
"""How long a job waits for a lock that another process holds on the journal. Others are served meanwhile."""
START_S = 30.0
"""How long a start waits for it, where it has to: for the first time after an update, or where there are old rows."""
RETRY_S = 0.05
"""How often the lock is asked for."""
CATCH_UP_S = 1.0
"""How often what could not be written is tried again."""
MOST_ENDED = 10_000
"""Ended jobs that are read; older ones are forgotten."""


@dataclass(slots=True)
class JournaledJob:
    """A job that has a row. `ended_at` is in epoch seconds, None while its row says that it has not ended."""

    job: Job
    ended_at: float | None = None


class Journal:
    """SQLite in WAL mode: a commit takes some ten microseconds, is safe from the end of this process, and may be lost
    only with the machine. Credentials never get here: a request's fields are named one by one.

    No call waits for another process, except at the start. A file that is damaged while the worker runs is replaced
    by one with the rows of the jobs in memory.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S, start_s: float = START_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._inputs = InputStore(path.parent / "inputs")
        self._file = JournalFile(path, start_s)
        self._written: dict[str, JournaledJob] = {}
        """By the folder of the job: most have no row."""
        self._rows_set_aside = 0
        self._owed: list[Statement] = []
        """What could not be written when it happened, in its order: the disk was full, or the file locked."""
        self._work = asyncio.Event()

    def __enter__(self) -> Self:
        """Open the file; blocks while another process has it, for a while. Raises StartupError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._flush()
        self._file.close()

    @property
    def set_aside(self) -> int:
        """Rows that could not be read at the start, a file that was moved aside counting as one."""
        return self._rows_set_aside + self._file.set_aside

    async def record_accepted(self, job: Job) -> None:
        """From now on the job is run to its end, whatever happens to this process. Raises JournalUnavailable."""
        until = time.monotonic() + self._busy_s
        while True:
            try:
                return self._accept(job)
            except sqlite3.Error as error:
                if not is_locked(error) or time.monotonic() >= until:
                    raise JournalUnavailable(f"the job can't be written down: {error}") from error
            await asyncio.sleep(RETRY_S)

    def record_submitted(self, job: Job) -> None:
        """Record engine and prompt id: after a restart that is asked for this one before the job is sent again."""
        if job.folder in self._written:
            values = (job.prompt_id, job.engine, VERSION, job.folder)
            self._write("UPDATE jobs SET prompt_id = ?, engine = ?, version = ? WHERE folder = ?", values)

    def record_ended(self, job: Job) -> None:
        """Record the job's result. Call this before anything announces the end."""
        if job.folder not in self._written and job.state is JobState.DELIVERY_PENDING:
            # Nobody could have asked for it; now its client is told how to.
            self._written[job.folder] = JournaledJob(job)
            self._write(*_inserted(job))
        if (written := self._written.get(job.folder)) is not None and not job.handed_back:
            # Of a job that is handed back the row stays unfinished, and the next life of the worker runs it.
            written.ended_at = time.time()
            self._write(*_result(written))

    def delete(self, *jobs: Job) -> None:
        """Remove the rows of jobs."""
        folders = [job.folder for job in jobs if self._written.pop(job.folder, None) is not None]
        if folders:
            self._write("DELETE FROM jobs WHERE folder IN (SELECT value FROM json_each(?))", (orjson.dumps(folders),))

    def has_row(self, job: Job) -> bool:
        """Whether the job has a row."""
        return job.folder in self._written

    async def retry_writes(self) -> None:
        """Write what is owed, again and again until it is written."""
        while True:
            await self._work.wait()
            await asyncio.sleep(CATCH_UP_S)
            self._flush()
            if not self._owed:
                self._work.clear()

    def _accept(self, job: Job) -> None:
        """Raises sqlite3.Error."""
        self._execute(*_inserted(job))
        self._written[job.folder] = JournaledJob(job)

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        """Now, or later: a job goes on and is answered where its journal can't be written for a while.

        Until then a kill -9 would make its run come again.
        """
        self._owed.append((sql, values))
        self._flush()

    def _flush(self) -> None:
        """Write what is owed, as far as that is possible now."""
        try:
            while self._owed:
                statement = self._owed[0]
                self._execute(*statement)
                if self._owed and self._owed[0] is statement:  # else a new file has it already
                    del self._owed[0]
        except sqlite3.Error as error:
            log.error("%d changes wait to be written into the journal: %s", len(self._owed), error)
            self._work.set()

    def _execute(self, sql: str, values: tuple[object, ...]) -> None:
        """Raises sqlite3.Error where it can't be written now."""
        if self._file.needs_replacement():
            self._replace("it was removed, or another file is in its place")
        try:
            self._file.execute(sql, values)
        except sqlite3.Error as error:
            if not self._file.needs_replacement(error):
                raise
            self._replace(str(error))
            if sql.startswith("INSERT"):  # all else is about jobs whose rows are new
                self._file.execute(sql, values)

    def _replace(self, why: str) -> None:
        """Begin another file with the jobs in memory, which makes what is owed needless. Raises sqlite3.Error."""
        try:
            self._file.replace(why, self._all_rows())
        except StartupError as error:
            raise sqlite3.OperationalError(str(error)) from error
        self._owed.clear()

    def _all_rows(self) -> Iterator[Statement]:
        for written in self._written.values():
            yield _inserted(written.job)
            if written.ended_at is not None:
                yield _result(written)

    def jobs(self) -> list[StoredJob]:
        """Return the jobs of earlier processes: ended ones first, in the order of their ends. Blocks.

        Of those that have ended the latest 10,000 are read; the others lose their rows. A row that cannot be read stays
        in the file, where another version of the worker may read it. It is logged and counted in `set_aside`.
        """
        stored = [job for row in self._readable_rows() if (job := self._read(row)) is not None]
        self._written.update((one.job.folder, JournaledJob(one.job, one.ended_at)) for one in stored)
        return sorted(stored, key=lambda one: (one.ended_at is None, one.ended_at or one.job.created_at))

    def _readable_rows(self) -> list[sqlite3.Row]:
        """Return all rows that count, or those before the first damaged page of the file. Raises StartupError."""
        rows: list[sqlite3.Row] = []
        try:
            with self._file.waiting_for_locks():
                self._drop_old()
                rows.extend(self._file.execute("SELECT * FROM jobs"))
        except sqlite3.Error as error:
            if not self._file.needs_replacement(error):
                raise StartupError(f"the journal {self._path} can't be read: {error}") from error
            rows = rows or self._rows_before_damage()
            self._file.replace(str(error), map(_copied, rows))
        return rows

    def _rows_before_damage(self) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = []
        with suppress(sqlite3.Error):
            rows.extend(self._file.execute("SELECT * FROM jobs"))
        return rows

    def _drop_old(self) -> None:
        """Delete the rows of more results than can be kept. Raises sqlite3.Error."""
        ended = f"typeof(ended_at) = 'real' AND version IN ({', '.join(map(str, sorted(READ)))})"
        older = f"SELECT folder FROM jobs WHERE {ended} ORDER BY ended_at DESC LIMIT -1 OFFSET {MOST_ENDED}"  # noqa: S608
        try:
            if self._file.execute(older).fetchone() is not None:  # else no lock is needed
                self._file.execute(f"DELETE FROM jobs WHERE folder IN ({older})")  # noqa: S608
        except sqlite3.Error as error:
            if self._file.needs_replacement(error):
                raise
            log.warning("old rows stay in the journal for now: %s", error)

    def _read(self, row: sqlite3.Row) -> StoredJob | None:
        try:
            return read_row(row, self._inputs.read_files)
        except (UnreadableRow, OSError) as error:
            self._rows_set_aside += 1
            log.error("a job of the journal is set aside (%r, id %r): %s", row["folder"], row["id"], error)
            return None


def needs_row(job: Job) -> bool:
    """Whether a client may ask again: not for a picture that was sent inline to a client without an id."""
    return job.collectable or job.request.output_mode is OutputMode.URL


def _inserted(job: Job) -> Statement:
    """The row of a job that has not ended, in the place of one that it may have."""
    row: dict[str, object] = {
        "folder": job.folder,
        "principal": job.principal,
        "id": job.id,
        "token": job.token,
        "collectable": job.collectable,
        "workload": job.workload,
        "created_at": job.created_at,
        "prompt_id": job.prompt_id,
        "request": pack_request(job.request),
        "version": VERSION,
        "engine": job.engine,
        "more_request": pack_more(job.request),
    }
    return _insertion(row, row.values())


def _copied(row: sqlite3.Row) -> Statement:
    return _insertion(row.keys(), tuple(row))


def _insertion(names: Collection[str], values: Iterable[object]) -> Statement:
    marks = ", ".join("?" * len(names))
    return f"INSERT OR REPLACE INTO jobs ({', '.join(names)}) VALUES ({marks})", tuple(values)  # noqa: S608


def _result(written: JournaledJob) -> Statement:
    values = (written.ended_at, *pack_result(written.job), written.job.folder)
    return "UPDATE jobs SET ended_at = ?, result = ?, more_result = ? WHERE folder = ?", values
