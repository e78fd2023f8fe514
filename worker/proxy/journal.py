"""The journal of the proxy: jobs whose callers may fetch their results later, and where each of them is.

A row is written before the job is sent anywhere, and again when a backend has accepted it, so that a process that was
killed leaves no job behind. The body of a request is in the row until the job has ended. It may contain credentials, so
only the user of the proxy can read the files.
"""

from __future__ import annotations

import base64
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from worker.backends.base import JobReference
from worker.errors import JournalUnavailable, StartupError
from worker.jobs.journal_file import JournalFile, Schema, Statement
from worker.proxy.job import Attempt, AttemptOutcome, ProxyJob, RemoteResult, RequestFacts

log = logging.getLogger(__name__)

PROXY_JOBS = Schema(
    "jobs",
    columns={
        "key": "TEXT PRIMARY KEY",
        "caller": "TEXT NOT NULL",
        "id": "TEXT NOT NULL",
        "token": "TEXT NOT NULL",
        "fingerprint": "TEXT NOT NULL",
        "facts": "BLOB NOT NULL",
        "request": "BLOB",
        "attempts": "BLOB NOT NULL",
        "cancelled": "INTEGER NOT NULL",
        "created_at": "REAL NOT NULL",
        "ended_at": "REAL",
        "result": "BLOB",
    },
    added={},
    version=1,
)
RESULTS = "results"
"""Folder of the results, beside the journal."""
SMALL = 16 * 1024
"""Largest body of a request in bytes that stays in memory until the job has ended."""
BUSY_S = 5.0
"""Seconds that the start waits while another process has locked the file."""


class JobJournal:
    """The journal in SQLite's WAL mode. A file that is damaged while the proxy runs is replaced by a new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = JournalFile(path, BUSY_S, PROXY_JOBS)
        self._jobs: dict[str, ProxyJob] = {}
        """The jobs that have a row, by their keys."""
        self._pending: list[Statement] = []
        """Changes that could not be written yet, in order."""

    def __enter__(self) -> Self:
        """Open the file. Raises StartupError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file.open()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.chmod(0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._write_pending()
        self._file.close()

    def jobs(self) -> list[ProxyJob]:
        """Return the jobs of earlier processes in the order of their creation. Unreadable rows are logged.

        Raises StartupError.
        """
        try:
            rows = list(self._file.execute("SELECT * FROM jobs ORDER BY created_at"))
        except sqlite3.Error as error:
            raise StartupError(f"the journal {self._path} cannot be read: {error}") from error
        for row in rows:
            try:
                self._jobs[row["key"]] = _read(row, self._path.parent / RESULTS)
            except (ValueError, TypeError, KeyError) as error:
                log.error("the job %r in the journal cannot be read and is skipped: %s", row["key"], error)
        return list(self._jobs.values())

    def record_accepted(self, job: ProxyJob) -> None:
        """Write the row of a job, before its caller gets the response. Raises JournalUnavailable."""
        try:
            self._execute(_row(job))
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the job cannot be stored: {error}") from error
        self._jobs[job.key] = job

    def request_of(self, job: ProxyJob) -> bytes:
        """Return the body of a job's request. Raises JournalUnavailable if it cannot be read."""
        if job.request is not None:
            return job.request
        try:
            row = self._file.execute("SELECT request FROM jobs WHERE key = ?", (job.key,)).fetchone()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the request of the job cannot be read: {error}") from error
        if row is None or row["request"] is None:
            raise JournalUnavailable("the request of the job is not in the journal any more")
        return bytes(row["request"])

    def release_request(self, job: ProxyJob) -> None:
        """Free the memory of a large request, if the journal has it. It is needed again only if the job is lost."""
        if job.key in self._jobs and job.request is not None and len(job.request) > SMALL:
            job.request = None

    def record_attempts(self, job: ProxyJob) -> None:
        """Write where a job is, if it has a row."""
        if job.key in self._jobs:
            self._write(
                (
                    "UPDATE jobs SET attempts = ?, cancelled = ? WHERE key = ?",
                    (_pack_attempts(job.attempts), job.cancelled, job.key),
                )
            )

    def record_ended(self, job: ProxyJob) -> None:
        """Write the result of a job and remove the body of its request, if it has a row."""
        if job.key in self._jobs:
            values = (_pack_attempts(job.attempts), job.ended_at, _pack_result(job), job.key)
            self._write(
                ("UPDATE jobs SET attempts = ?, request = NULL, ended_at = ?, result = ? WHERE key = ?", values)
            )

    def delete(self, job: ProxyJob) -> None:
        """Delete the row of a job, if it has one."""
        if self._jobs.pop(job.key, None) is not None:
            self._write(("DELETE FROM jobs WHERE key = ?", (job.key,)))

    @property
    def pending(self) -> int:
        """Number of changes that could not be written yet."""
        return len(self._pending)

    def retry(self) -> None:
        """Write the changes that could not be written before."""
        self._write_pending()

    def _write(self, statement: Statement) -> None:
        """Write a change, or keep it until it can be written."""
        self._pending.append(statement)
        self._write_pending()

    def _write_pending(self) -> None:
        try:
            while self._pending:
                self._execute(self._pending[0])
                del self._pending[:1]
        except sqlite3.Error as error:
            log.error("%d changes could not be written to the journal and are retried: %s", len(self._pending), error)

    def _execute(self, statement: Statement) -> None:
        """Execute a statement, in a new file if the current one is missing or damaged. Raises sqlite3.Error."""
        try:
            if not self._file.needs_replacement():
                self._file.execute(*statement)
                return
            reason = "it was removed, or replaced by another file"
        except sqlite3.Error as error:
            if not self._file.needs_replacement(error):
                raise
            reason = str(error)
        try:
            self._file.replace(reason, self._all_rows())
        except StartupError as error:
            raise sqlite3.OperationalError(str(error)) from error
        self._file.execute(*statement)  # every other change is about a job in memory, so that repeating it is harmless

    def _all_rows(self) -> Iterator[Statement]:
        """Yield the statements that write all jobs in memory."""
        for job in self._jobs.values():
            yield _row(job)


def _row(job: ProxyJob) -> Statement:
    """Return the statement that writes the whole row of a job."""
    row: dict[str, object] = {
        "key": job.key,
        "caller": job.caller,
        "id": job.id,
        "token": job.token,
        "fingerprint": job.fingerprint,
        "facts": orjson.dumps(asdict(job.facts)),
        "request": None if job.ended_at is not None else job.request,
        "attempts": _pack_attempts(job.attempts),
        "cancelled": job.cancelled,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "result": _pack_result(job),
    }
    return PROXY_JOBS.insert_statement(row, row.values())


def _read(row: sqlite3.Row, results: Path) -> ProxyJob:
    """Return the job in a row. `results` is the folder of the files. Raises ValueError, TypeError or KeyError."""
    job = ProxyJob(
        caller=row["caller"],
        request=row["request"] if len(row["request"] or b"") <= SMALL else None,  # read again when it is needed
        facts=RequestFacts(**orjson.loads(row["facts"])),
        id=row["id"],
        key=row["key"],
        token=row["token"],
        fingerprint=row["fingerprint"],
        collectable=True,
        promised=True,
        created_at=row["created_at"],
        attempts=_unpack_attempts(row["attempts"]),
        cancelled=bool(row["cancelled"]),
        has_files=True,
    )
    if row["ended_at"] is not None:
        result = orjson.loads(row["result"])
        path = results / Path(result["path"]).name if result["path"] else None
        data = base64.b64decode(result["data"]) if "data" in result else None
        job.end(RemoteResult(result["status"], result["size"], result["content_type"], data, path))
        job.ended_at = row["ended_at"]
    return job


def _pack_attempts(attempts: list[Attempt]) -> bytes:
    """Return attempts for the journal."""
    return orjson.dumps([asdict(attempt) for attempt in attempts])


def _unpack_attempts(data: bytes) -> list[Attempt]:
    """Return the attempts in a row. Raises ValueError, TypeError or KeyError."""
    return [
        Attempt(
            item["backend"],
            JobReference(**item["reference"]) if item["reference"] else None,
            item["accepted"],
            AttemptOutcome(item["outcome"]) if item["outcome"] else None,
            item["reason"],
            item.get("resubmits", True),
        )
        for item in orjson.loads(data)
    ]


def _pack_result(job: ProxyJob) -> bytes | None:
    """Return the result of a job for the journal, or None before the end. The body is included if it has no file."""
    result = job.result
    if result is None:
        return None
    fields = {"status": result.status, "size": result.size, "content_type": result.content_type}
    if result.path is not None:
        return orjson.dumps({**fields, "path": result.path.name})
    return orjson.dumps({**fields, "path": "", "data": base64.b64encode(result.data or b"").decode()})


def age_s(job: ProxyJob) -> float:
    """Return the seconds since the end of a job, 0 before."""
    return 0.0 if job.ended_at is None else max(0.0, time.time() - job.ended_at)
