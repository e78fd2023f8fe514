"""What was accepted and what became of it, on disk: a row is there before its answer is, and outlives a kill -9."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from worker.destination import ImageFormat, ImageType, Webhook
from worker.errors import Detail, JournalUnavailable, StartupError, WorkerError, error_class
from worker.events import Event, JobFinished, JobForgotten, JobSubmitted
from worker.job import InputFile, Job, JobRequest, JobState, Output, OutputMode

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
    folder TEXT PRIMARY KEY, principal TEXT NOT NULL, id TEXT NOT NULL, token TEXT NOT NULL,
    collectable INTEGER NOT NULL, workload REAL NOT NULL, created_at REAL NOT NULL, ended_at REAL,
    prompt_id TEXT, request BLOB NOT NULL, result BLOB
) WITHOUT ROWID;
"""
BUSY_S = 5.0
Statement = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A job of an earlier life; `ended_at` is None (epoch seconds else) where it had not ended."""

    job: Job
    ended_at: float | None


class Journal:
    """SQLite in WAL mode: a commit takes some ten microseconds, is safe from the end of this process, and may be lost
    only with the machine. Credentials never get here: a request's fields are named one by one.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._inputs = path.parent / "inputs"
        self._rows: sqlite3.Connection
        self._written: set[str] = set()
        """Folders of the jobs that have a row: most have none."""
        self._owed: list[Statement] = []
        """What could not be written when it happened, in its order: the disk was full."""

    def __enter__(self) -> Self:
        """Raises StartupError where the file is of another version, or no journal."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rows = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        self._rows.row_factory = sqlite3.Row
        try:
            self._check_version()
        except BaseException:
            self._rows.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._rows.close()

    def _check_version(self) -> None:
        """An empty file becomes a journal of ours. Raises StartupError."""
        try:
            self._rows.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
            [version] = self._rows.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._rows.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        except sqlite3.DatabaseError as error:
            raise StartupError(f"the journal {self._path} can't be opened ({error}); move it away") from error
        if version not in {0, SCHEMA_VERSION}:
            raise StartupError(f"the journal {self._path} is of version {version}; this worker reads {SCHEMA_VERSION}")

    def keep_inputs(self, job: Job) -> None:
        """Write the files that came with a request, before `accepted`. May take a while: for a thread."""
        folder = self._inputs / job.folder
        try:
            for file in job.request.inputs:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / file.name).write_bytes(file.data)
        except OSError as error:
            raise JournalUnavailable(f"the inputs can't be written down: {error.strerror}") from error

    def drop_inputs(self, job: Job) -> None:
        """An ended job doesn't need them. For a thread."""
        shutil.rmtree(self._inputs / job.folder, ignore_errors=True)

    def accepted(self, job: Job) -> None:
        """From now on the job is run to its end, whatever happens to this process. Raises JournalUnavailable."""
        who = (job.folder, job.principal, job.id, job.token)
        values = (*who, job.collectable, job.workload, job.created_at, _packed(job.request))
        try:
            self._rows.execute(
                "INSERT OR REPLACE INTO jobs (folder, principal, id, token, collectable, workload, created_at, request)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        except sqlite3.OperationalError as error:
            raise JournalUnavailable(f"the job can't be written down: {error}") from error
        self._written.add(job.folder)

    def notify(self, event: Event) -> None:
        """An observer, and the first one: the result is written before anybody is told of it."""
        if event.job.folder not in self._written:
            if isinstance(event, JobFinished) and event.job.state is JobState.DELIVERY_PENDING:
                # Nobody could have asked for it; now its client is told how to.
                with suppress(JournalUnavailable):  # then it lives as long as this process
                    self.accepted(event.job)
                    self._ended(event.job)
            return
        match event:
            case JobSubmitted(job):
                # After a restart it is looked for under this id before it is sent again.
                self._write("UPDATE jobs SET prompt_id = ? WHERE folder = ?", (job.prompt_id, job.folder))
            case JobFinished(job) if not job.handed_back:
                self._ended(job)
            case JobForgotten(job):
                self._write("DELETE FROM jobs WHERE folder = ?", (job.folder,))
                self._written.remove(job.folder)

    def _ended(self, job: Job) -> None:
        values = (time.time(), orjson.dumps(_result(job)), job.folder)
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
        except sqlite3.OperationalError as error:
            log.error("%d changes wait to be written into the journal: %s", len(self._owed), error)

    def jobs(self) -> list[Kept]:
        """Every job of earlier lives; ended ones first, in the order of their ends."""
        rows = self._rows.execute("SELECT * FROM jobs ORDER BY ended_at IS NULL, ended_at, created_at")
        kept = [self._kept(row) for row in rows]
        self._written.update(one.job.folder for one in kept)
        return kept

    def _kept(self, row: sqlite3.Row) -> Kept:
        files = sorted((self._inputs / row["folder"]).glob("*"))
        inputs = tuple(InputFile(path.name, path.read_bytes()) for path in files)
        job = Job(
            id=row["id"],
            request=replace(_unpacked(row["request"]), inputs=inputs),
            principal=row["principal"],
            workload=row["workload"],
            token=row["token"],
            folder=row["folder"],
            created_at=row["created_at"],
            collectable=bool(row["collectable"]),
            prompt_id=row["prompt_id"],
        )
        if row["result"] is not None:
            _restore(job, orjson.loads(row["result"]))
        return Kept(job, row["ended_at"])


def _packed(request: JobRequest) -> bytes:
    """A field that isn't named here is not kept: it may be a credential."""
    return orjson.dumps(
        {
            "prompt": request.prompt,
            "urls": request.urls,
            "output_mode": request.output_mode,
            "dialect": request.dialect,
            "key": request.key,
            "timeout_s": request.timeout_s,
            "fingerprint": request.fingerprint,
            "base_url": request.base_url,
            "template": request.template,
            "params": dict(request.params),
            "image_format": asdict(request.image_format) if request.image_format else None,
            "own_target": request.own_target,
            "webhook": _webhook(request.webhook),
        }
    )


def _webhook(webhook: Webhook | None) -> dict[str, Any] | None:
    """One that the operator signs. With a secret of the client's it can't be sent by another life of this worker."""
    if webhook is None or webhook.secret.get_secret_value():
        return None
    kept = ("url", "extra", "timeout_s", "stock")
    return {name: value for name, value in asdict(webhook).items() if name in kept}


def _unpacked(packed: bytes) -> JobRequest:
    found = orjson.loads(packed)
    found["output_mode"] = OutputMode(found["output_mode"])
    if wanted := found.get("image_format"):
        found["image_format"] = ImageFormat(
            ImageType(wanted["type"]) if wanted["type"] else None, wanted["quality"], wanted["metadata"]
        )
    if webhook := found.get("webhook"):
        found["webhook"] = Webhook(**webhook)
    return JobRequest(**found)


def _result(job: Job) -> dict[str, Any]:
    return {
        "state": job.state,
        "stages": {state.value: seconds for state, seconds in job.stages.items()},
        "outputs": [asdict(output) for output in job.outputs],
        "error": job.error.as_dict() if job.error else None,
    }


def _restore(job: Job, result: Mapping[str, Any]) -> None:
    job.state = JobState(result["state"])
    job.stages = {JobState(state): seconds for state, seconds in result["stages"].items()}
    job.outputs = tuple(Output(**output) for output in result["outputs"])
    job.error = _error(result["error"]) if result["error"] else None


def _error(found: Mapping[str, Any]) -> WorkerError:
    return error_class(found["code"])(found["message"], [Detail(**detail) for detail in found["details"]])
