"""A journal's SQLite file, with one table. A damaged file, or one of another version, is moved aside and replaced."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from worker.errors import StartupError
from worker.jobs.state_folder import set_aside

log = logging.getLogger(__name__)

BESIDE = ("-wal", "-shm", "-journal")
"""Suffixes of SQLite's files beside a database."""
LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
NO_DAMAGE = LOCKED | {
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
"""Primary result codes that do not mean a damaged file. 0 is an error of Python's module."""
UNREADABLE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
"""Extended result codes of a file that cannot be read."""
Statement = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Schema:
    """The table of a journal.

    - `columns` are those of the first release, with their SQL types. One of them is the primary key.
    - `added` are columns that older files lack. The version stays the same, so that older programs can open the file.
      Each of them needs a default or allows NULL.
    """

    table: str
    columns: Mapping[str, str]
    added: Mapping[str, str]
    version: int

    def create_statement(self, *, with_added: bool = True) -> str:
        """Return the statement that creates the table, without the added columns if an older program reads the file."""
        names = {**self.columns, **(self.added if with_added else {})}
        columns = ", ".join(f"{name} {kind}" for name, kind in names.items())
        return f"CREATE TABLE {self.table} ({columns}) WITHOUT ROWID"

    def insert_statement(self, names: Collection[str], values: Iterable[object]) -> Statement:
        """Return the statement that writes a row with these columns, replacing an existing row with the same key."""
        marks = ", ".join("?" * len(names))
        return f"INSERT OR REPLACE INTO {self.table} ({', '.join(names)}) VALUES ({marks})", tuple(values)  # noqa: S608


JOBS = Schema(
    "jobs",
    columns={
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
    },
    added={"version": "INTEGER NOT NULL DEFAULT 1", "engine": "TEXT", "more_request": "BLOB", "more_result": "BLOB"},
    version=1,
)
"""The jobs of a worker."""


class UnsupportedVersion(Exception):
    """The file is not a journal of a supported version. The message names the reason."""


class JournalFile:
    """One connection to a journal. Only `open` and `waiting_for_locks` wait for locks of other processes."""

    def __init__(self, path: Path, busy_s: float, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._busy_s = busy_s
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self.set_aside = 0
        """Number of files that were moved aside."""

    def open(self) -> None:
        """Open or create the file, after moving an unusable one aside. Blocks.

        Raises StartupError when the file cannot be opened, moved or created.
        """
        for suffix in ("", *BESIDE):
            if self._with_suffix(suffix).is_dir():
                self.move_aside("a folder has its name")
                break
        try:
            self._connect()
        except UnsupportedVersion as error:
            self.move_aside(str(error), "version")
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                raise StartupError(f"the journal {self._path} cannot be opened: {error}") from error
            self.move_aside(str(error))
        else:
            return
        try:
            self._connect()
        except (sqlite3.DatabaseError, UnsupportedVersion) as error:
            raise StartupError(f"no journal can be created at {self._path}: {error}") from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute a statement. Raises sqlite3.DatabaseError."""
        if self._connection is None:
            raise sqlite3.OperationalError("the journal is not open")
        return self._connection.execute(sql, values)

    @contextmanager
    def waiting_for_locks(self) -> Iterator[None]:
        """Wait for locks of other processes inside the context, at most `busy_s` seconds each time.

        Raises sqlite3.DatabaseError.
        """
        self.execute(f"PRAGMA busy_timeout={round(self._busy_s * 1000)}")
        try:
            yield
        finally:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        """Let statements fail at once when another process has locked the file."""
        with suppress(sqlite3.Error):
            self.execute("PRAGMA busy_timeout=0")

    def needs_replacement(self, error: sqlite3.Error | None = None) -> bool:
        """Return whether `error` means a damaged file, or without an error, whether it was removed or replaced."""
        if error is not None:
            return primary_code(error) not in NO_DAMAGE
        try:
            return self._connection is None or self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def replace(self, reason: str, statements: Iterable[Statement]) -> None:
        """Move the file aside and write a new one. Raises sqlite3.DatabaseError and StartupError.

        `reason` is logged. `statements` write the rows.
        """
        if self._connection is not None:  # otherwise the previous attempt has moved it
            self.move_aside(reason)
        try:
            self._connect()
            self.execute("BEGIN")
            for sql, values in statements:
                self.execute(sql, values)
            self.execute("COMMIT")
        except BaseException:
            self.close()
            for suffix in ("", *BESIDE):
                with suppress(OSError):
                    self._with_suffix(suffix).unlink()
            raise

    def move_aside(self, reason: str, kind: str = "damaged") -> None:
        """Close and rename the file and SQLite's files beside it. Raises StartupError when that fails.

        `reason` is logged. `kind` is a word in the new name.
        """
        self.close()
        target = set_aside(self._path, why=kind) if self._path.exists() or self._path.is_symlink() else None
        if target is None and self._path.exists():
            raise StartupError(f"the journal {self._path} is unusable ({reason}) and cannot be renamed")
        for suffix in BESIDE:
            file_beside = self._with_suffix(suffix)
            with suppress(FileNotFoundError):
                if target is not None:
                    file_beside.rename(f"{target}{suffix}")
                else:
                    set_aside(file_beside)
        self.set_aside += 1
        log.error("the journal is unusable (%s); it was renamed to %s, and a new one is created", reason, target)

    def _with_suffix(self, suffix: str) -> Path:
        """Return the path of one of SQLite's files beside the journal, or of the journal for an empty suffix."""
        return self._path.with_name(self._path.name + suffix)

    def columns(self) -> list[str]:
        """Return the names of the table's columns."""
        return [row["name"] for row in self.execute(f"PRAGMA table_info({self._schema.table})")]

    def _connect(self) -> None:
        """Open a connection and prepare the schema. Raises UnsupportedVersion and sqlite3.DatabaseError."""
        self._connection = sqlite3.connect(self._path, self._busy_s, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.text_factory = lambda data: data.decode(errors="surrogateescape")
        try:
            self._prepare_schema()
            self._inode = self._path.stat().st_ino
            self._stop_waiting()
        except BaseException:
            self.close()
            raise

    def _prepare_schema(self) -> None:
        """Create the schema in an empty file, and add the columns that an older file lacks.

        Raises UnsupportedVersion and sqlite3.DatabaseError.
        """
        schema = self._schema
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")
        [version] = self.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self.execute("BEGIN")
            self.execute(schema.create_statement())
            self.execute(f"PRAGMA user_version={schema.version}")
            self.execute("COMMIT")
        elif version != schema.version:
            raise UnsupportedVersion(f"it has version {version}, and this worker supports version {schema.version}")
        columns_by_name = {row["name"]: row for row in self.execute(f"PRAGMA table_info({schema.table})")}
        missing = schema.columns.keys() - columns_by_name.keys()
        if missing:
            raise UnsupportedVersion(f"it has no column {min(missing)}")
        unknown = columns_by_name.keys() - schema.columns.keys() - schema.added.keys()
        required = [name for name in unknown if _is_required(columns_by_name[name])]
        if required:
            raise UnsupportedVersion(f"each row needs a value for {min(required)}, which this worker does not know")
        for name in schema.added.keys() - columns_by_name.keys():
            self.execute(f"ALTER TABLE {schema.table} ADD COLUMN {name} {schema.added[name]}")

    def _is_damage(self, error: sqlite3.Error) -> bool:
        """Return whether an error while opening means a file that is damaged, or that this process may not use."""
        if primary_code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            return self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK)
        return primary_code(error) not in NO_DAMAGE or getattr(error, "sqlite_errorcode", 0) in UNREADABLE


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 for an error of Python's module."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether another process holds the lock."""
    return primary_code(error) in LOCKED


def _is_required(column: sqlite3.Row) -> bool:
    """Return whether each new row needs a value for a column."""
    return bool(column["notnull"]) and column["dflt_value"] is None
