"""Rewrites a journal for workers before v0.2.0, which reject unknown columns and fields."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from worker.errors import StartupError
from worker.inputs import InputStore
from worker.jobs.journal_file import BESIDE, JOBS
from worker.jobs.journal_rows import UnreadableRow, pack_request, pack_result, read_row
from worker.jobs.state_folder import set_aside
from worker.jobs.state_lock import state_lock

JOURNAL = "journal.sqlite"
EARLY = {"version": 1, "engine": None, "more_request": None, "more_result": None}
"""Values for columns that a row of an older file lacks."""


@dataclass(frozen=True, slots=True)
class DowngradeResult:
    """Number of jobs in the new journal, messages about those that were left out, and the old journal's path."""

    jobs: int
    left_out: list[str]
    kept_as: Path


def downgrade(state: Path) -> DowngradeResult:
    """Write a journal for older workers, and keep the present one under another name.

    Raises StartupError when there is no journal or it cannot be rewritten, and StateInUse.
    """
    path = state / JOURNAL
    if not path.is_file():
        raise StartupError(f"there is no journal at {path}")
    with state_lock(state):
        try:
            rows, left_out = _read(path, state)
            new_path = path.with_name("journal.downgraded")
            new_path.unlink(missing_ok=True)
            _write(new_path, rows)
            kept_as = set_aside(path, why="before-downgrade")
            if kept_as is None:
                raise StartupError(f"the journal {path} cannot be renamed")
            for suffix in BESIDE:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            new_path.rename(path)
        except (sqlite3.Error, OSError) as error:
            raise StartupError(f"the journal {path} cannot be rewritten: {error}") from error
    return DowngradeResult(len(rows), left_out, kept_as)


def _read(path: Path, state: Path) -> tuple[list[tuple[object, ...]], list[str]]:
    """Return the new rows, and a message for each job that an older worker cannot read."""
    store, rows, left_out = InputStore(state / "inputs"), [], []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM jobs"):
            try:
                rows.append(_row({**EARLY, **dict(row)}, store))
            except (UnreadableRow, OSError) as error:
                left_out.append(f"job {row['id']!r}: {error}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # moves all changes into the main file
    return rows, left_out


def _row(row: Mapping[str, object], store: InputStore) -> tuple[object, ...]:
    """Return the values of a row for the columns of the first release. Raises UnreadableRow and OSError."""
    stored = read_row(row, store.read_files)
    job = stored.job
    if any("/" in file.name for file in job.request.inputs):
        raise UnreadableRow("its input files are in folders")
    result, _ = pack_result(job) if stored.ended_at is not None else (None, None)
    values = {**row, "request": pack_request(job.request), "result": result}
    return tuple(values[name] for name in JOBS.columns)


def _write(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Write a journal with the columns of the first release."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(JOBS.create_statement(with_added=False))
        for row in rows:
            connection.execute(*JOBS.insert_statement(JOBS.columns, row))
        connection.execute(f"PRAGMA user_version={JOBS.version}")
        connection.execute("COMMIT")
