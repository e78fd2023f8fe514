"""What was accepted and what became of it, on disk: a row is there before its answer is, and outlives a kill -9."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.errors import JournalUnavailable, StartupError
from worker.inputs import InputStore
from worker.job import Job, JobState
from worker.jobs.journal_rows import VERSION, StoredJob, UnreadableRow, pack_request, pack_result, read_row

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
    folder TEXT PRIMARY KEY, principal TEXT NOT NULL, id TEXT NOT NULL, token TEXT NOT NULL,
    collectable INTEGER NOT NULL, workload REAL NOT NULL, created_at REAL NOT NULL, ended_at REAL,
    prompt_id TEXT, request BLOB NOT NULL, result BLOB, version INTEGER NOT NULL DEFAULT 1, engine TEXT
) WITHOUT ROWID;
"""
ADDED = {"version": "INTEGER NOT NULL DEFAULT 1", "engine": "TEXT"}
"""Columns that older files lack. Those keep their schema version, so that the former worker still opens them."""
BUSY_S = 5.0
Statement = tuple[str, tuple[object, ...]]


class Journal:
    """SQLite in WAL mode: a commit takes some ten microseconds, is safe from the end of this process, and may be lost
    only with the machine. Credentials never get here: a request's fields are named one by one.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._inputs = InputStore(path.parent / "inputs")
        self._rows: sqlite3.Connection
        self._written: set[str] = set()
        """Folders of the jobs that have a row: most have none."""
        self.set_aside = 0
        """Rows that could not be read at the start, a damaged file counting as one."""
        self._owed: list[Statement] = []
        """What could not be written when it happened, in its order: the disk was full."""

    def __enter__(self) -> Self:
        """Raises StartupError where the file is of another version, or no journal."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._rows.close()

    def _open(self) -> None:
        """Open the file, or create it. Raises StartupError."""
        self._rows = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        self._rows.row_factory = sqlite3.Row
        try:
            self._check_version()
        except BaseException:
            self._rows.close()
            raise

    def _check_version(self) -> None:
        """Give an empty file the schema, and an old one the columns that it lacks. Raises StartupError."""
        try:
            self._rows.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
            [version] = self._rows.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._rows.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
            elif version == SCHEMA_VERSION:
                for name in ADDED.keys() - self._columns():
                    self._rows.execute(f"ALTER TABLE jobs ADD COLUMN {name} {ADDED[name]}")
        except sqlite3.DatabaseError as error:
            raise StartupError(f"the journal {self._path} can't be opened ({error}); move it away") from error
        if version not in {0, SCHEMA_VERSION}:
            raise StartupError(f"the journal {self._path} is of version {version}; this worker reads {SCHEMA_VERSION}")

    def _columns(self) -> set[str]:
        return {row["name"] for row in self._rows.execute("PRAGMA table_info(jobs)")}

    def accepted(self, job: Job) -> None:
        """From now on the job is run to its end, whatever happens to this process. Raises JournalUnavailable."""
        who = (job.folder, job.principal, job.id, job.token)
        values = (
            *who,
            job.collectable,
            job.workload,
            job.created_at,
            job.prompt_id,
            pack_request(job.request),
            VERSION,
            job.engine,
        )
        try:
            self._rows.execute(
                "INSERT OR REPLACE INTO jobs"
                " (folder, principal, id, token, collectable, workload, created_at, prompt_id, request, version,"
                " engine) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        except sqlite3.DatabaseError as error:
            raise JournalUnavailable(f"the job can't be written down: {error}") from error
        self._written.add(job.folder)

    def submitted(self, job: Job) -> None:
        """Record engine and prompt id: after a restart that is asked for this one before the job is sent again."""
        if job.folder in self._written:
            values = (job.prompt_id, job.engine, VERSION, job.folder)
            self._write("UPDATE jobs SET prompt_id = ?, engine = ?, version = ? WHERE folder = ?", values)

    def ended(self, job: Job) -> None:
        """Record the job's result. Call this before anything announces the end."""
        if job.folder in self._written:
            if not job.handed_back:  # else the row stays unfinished, and the next life of the worker runs the job
                self._write_result(job)
        elif job.state is JobState.DELIVERY_PENDING:
            # Nobody could have asked for it; now its client is told how to.
            with suppress(JournalUnavailable):  # then it lives as long as this process
                self.accepted(job)
                self._write_result(job)

    def forgotten(self, job: Job) -> None:
        """Remove the job's row."""
        if job.folder in self._written:
            self._write("DELETE FROM jobs WHERE folder = ?", (job.folder,))
            self._written.remove(job.folder)

    def _write_result(self, job: Job) -> None:
        values = (time.time(), pack_result(job), job.folder)
        self._write("UPDATE jobs SET ended_at = ?, result = ? WHERE folder = ?", values)

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        """Now, or with the next one: a job goes on and is answered where its journal's disk is full for a while.

        Until then a kill -9 would make its run come again.
        """
        self._owed.append((sql, values))
        try:
            while self._owed:
                self._rows.execute(*self._owed[0])
                del self._owed[0]
        except sqlite3.DatabaseError as error:
            log.error("%d changes wait to be written into the journal: %s", len(self._owed), error)

    def jobs(self) -> list[StoredJob]:
        """Return the jobs of earlier processes: ended ones first, in the order of their ends.

        A row that cannot be read stays in the file, where another version of the worker may read it. It is logged and
        counted in `set_aside`.
        """
        stored = [job for row in self._readable_rows() if (job := self._read(row)) is not None]
        self._written.update(one.job.folder for one in stored)
        return sorted(stored, key=lambda one: (one.ended_at is None, one.ended_at or one.job.created_at))

    def _readable_rows(self) -> list[sqlite3.Row]:
        """Return all rows, or those before the first damaged page of the file."""
        rows: list[sqlite3.Row] = []
        try:
            rows.extend(self._rows.execute("SELECT * FROM jobs"))
        except sqlite3.DatabaseError as error:
            self._replace_damaged(error, rows)
        return rows

    def _read(self, row: sqlite3.Row) -> StoredJob | None:
        try:
            return read_row(row, self._inputs.stored)
        except (UnreadableRow, OSError) as error:
            self.set_aside += 1
            log.error("a job of the journal is set aside (%s, id %r): %s", row["folder"], row["id"], error)
            return None

    def _replace_damaged(self, error: sqlite3.DatabaseError, rows: Sequence[sqlite3.Row]) -> None:
        """Move a damaged file away and begin another one with the rows that were read."""
        damaged = self._path.with_suffix(f".damaged-{int(time.time())}")
        log.error("the journal is damaged (%s); it is kept as %s, and %d jobs were read", error, damaged, len(rows))
        self.set_aside += 1
        self._rows.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(f"{damaged}{suffix}")
        self._open()
        known = self._columns()
        for row in rows:
            columns = [name for name in row.keys() if name in known]  # noqa: SIM118 - a row iterates over its values
            values = [row[name] for name in columns]
            self._rows.execute(
                f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608
                values,
            )
