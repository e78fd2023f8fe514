"""The journal's SQLite file: what is damaged or of another version is moved aside, and a new file takes its place."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from worker.errors import StartupError
from worker.jobs.state_folder import set_aside

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
COLUMNS = {
    "folder": "TEXT PRIMARY KEY",
    "principal": "TEXT NOT NULL",
    "id": "TEXT NOT NULL",
    "token": "TEXT NOT NULL",
    "collectable": "INTEGER NOT NULL",
    "workload": "REAL NOT NULL",
    "created_at": "REAL NOT NULL",
    "ended_at": "REAL",
    "prompt_id": "TEXT",
    "request": "BLOB NOT NULL",
    "result": "BLOB",
}
"""Columns of the first release."""
ADDED = {"version": "INTEGER NOT NULL DEFAULT 1", "engine": "TEXT", "more_request": "BLOB", "more_result": "BLOB"}
"""Columns that older files lack. Those keep their schema version, so that the former worker still opens them."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for the files that belong to it."""
LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
PASSING = LOCKED | {
    0,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CONSTRAINT,
}
"""Primary result codes that say nothing about the file's content; 0 is an error of Python's module."""
UNREADABLE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
"""Extended result codes of a file whose content can't be had."""
Statement = tuple[str, tuple[object, ...]]


class UnsupportedVersion(Exception):
    """The file is no journal that this worker reads. The message names the reason."""


class JournalFile:
    """One connection to the journal. Only `open` and `waiting_for_locks` wait for locks of other processes."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._rows: sqlite3.Connection | None = None
        self._inode = 0
        self.set_aside = 0
        """Files that were moved aside."""

    def open(self) -> None:
        """Open the file or create it, having moved one aside that can't be used. Blocks. Raises StartupError."""
        for path in (self._path, *(self._path.with_name(self._path.name + end) for end in BESIDE)):
            if path.is_dir():
                self.move_aside("a folder is in its place")
                break
        try:
            self._connect()
        except UnsupportedVersion as error:
            self.move_aside(str(error), "version")
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                raise StartupError(f"the journal {self._path} can't be opened: {error}") from error
            self.move_aside(str(error))
        else:
            return
        try:
            self._connect()
        except (sqlite3.DatabaseError, UnsupportedVersion) as error:
            raise StartupError(f"no journal can be made at {self._path}: {error}") from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._rows is not None:
            with suppress(sqlite3.Error):
                self._rows.close()
            self._rows = None

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Raises sqlite3.DatabaseError."""
        if self._rows is None:
            raise sqlite3.OperationalError("the journal is not open")
        return self._rows.execute(sql, values)

    @contextmanager
    def waiting_for_locks(self) -> Iterator[None]:
        """Wait for locks that other processes hold, as `open` does. Raises sqlite3.DatabaseError."""
        self.execute(f"PRAGMA busy_timeout={round(self._busy_s * 1000)}")
        try:
            yield
        finally:
            self._wait_no_more()

    def _wait_no_more(self) -> None:
        with suppress(sqlite3.Error):
            self.execute("PRAGMA busy_timeout=0")

    def needs_replacement(self, error: sqlite3.Error | None = None) -> bool:
        """Whether the file has to be replaced: damaged by what an error says, or not there any more."""
        if error is not None:
            return primary_code(error) not in PASSING
        try:
            return self._rows is None or self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def replace(self, why: str, statements: Iterable[Statement]) -> None:
        """Move the file aside and begin another one with these rows. Raises sqlite3.DatabaseError, StartupError."""
        if self._rows is not None:  # else the last try has done that
            self.move_aside(why)
        try:
            self._connect()
            self.execute("BEGIN")
            for sql, values in statements:
                self.execute(sql, values)
            self.execute("COMMIT")
        except BaseException:
            self.close()
            for end in ("", *BESIDE):
                with suppress(OSError):
                    self._path.with_name(self._path.name + end).unlink()
            raise

    def move_aside(self, why: str, kind: str = "damaged") -> None:
        """Rename the file and those beside it. Raises StartupError where that fails."""
        self.close()
        target = set_aside(self._path, why=kind) if self._path.exists() or self._path.is_symlink() else None
        if target is None and self._path.exists():
            raise StartupError(f"the journal {self._path} can't be used ({why}), and not be moved away")
        for end in BESIDE:
            other = self._path.with_name(self._path.name + end)
            with suppress(FileNotFoundError):
                if target is not None:
                    other.rename(f"{target}{end}")
                else:
                    set_aside(other)
        self.set_aside += 1
        log.error("the journal can't be used (%s); it is kept as %s, and a new one begins", why, target)

    def columns(self) -> list[str]:
        """Return the names of the columns of the table."""
        return [row["name"] for row in self.execute("PRAGMA table_info(jobs)")]

    def _connect(self) -> None:
        """Raises UnsupportedVersion, sqlite3.DatabaseError."""
        self._rows = sqlite3.connect(self._path, self._busy_s, isolation_level=None, check_same_thread=False)
        self._rows.row_factory = sqlite3.Row
        self._rows.text_factory = lambda data: data.decode(errors="surrogateescape")
        try:
            self._check_version()
            self._inode = self._path.stat().st_ino
            self._wait_no_more()
        except BaseException:
            self.close()
            raise

    def _check_version(self) -> None:
        """Give an empty file the schema, and an old one the columns that it lacks."""
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")
        [version] = self.execute("PRAGMA user_version").fetchone()
        if version == 0:
            columns = ", ".join(f"{name} {kind}" for name, kind in (COLUMNS | ADDED).items())
            self.execute("BEGIN")
            self.execute(f"CREATE TABLE jobs ({columns}) WITHOUT ROWID")
            self.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            raise UnsupportedVersion(f"it is of version {version}, and this worker reads {SCHEMA_VERSION}")
        there = {row["name"]: row for row in self.execute("PRAGMA table_info(jobs)")}
        if lacking := COLUMNS.keys() - there.keys():
            raise UnsupportedVersion(f"it has no column {min(lacking)}")
        if strange := {name for name in there.keys() - COLUMNS.keys() - ADDED.keys() if _has_to_be_given(there[name])}:
            raise UnsupportedVersion(f"each row needs {min(strange)}, which this worker does not know")
        for name in ADDED.keys() - there.keys():
            self.execute(f"ALTER TABLE jobs ADD COLUMN {name} {ADDED[name]}")

    def _is_damage(self, error: sqlite3.Error) -> bool:
        """Whether an error at the start is one of the file itself. A full disk damages nothing."""
        if primary_code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            return self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK)
        return primary_code(error) not in PASSING or getattr(error, "sqlite_errorcode", 0) in UNREADABLE


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 for an error of Python's module."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another process holds the lock."""
    return primary_code(error) in LOCKED


def _has_to_be_given(column: sqlite3.Row) -> bool:
    return bool(column["notnull"]) and column["dflt_value"] is None
