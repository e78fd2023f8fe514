"""A model on its way in: kept when the way breaks off, taken up by whoever comes next."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson

from worker.fetch.download import FileVersion
from worker.fetch.partial import Partial
from worker.models.folder import ModelsFolder

BLOCK = 1024 * 1024
BUSY_S = 0.5
"""How often a file that another process is bringing is looked at."""


class KeptPartial(Partial):
    """`version` says which state of the file this is the beginning of; it lies beside it, so that a rest can be had.

    The open file is locked: of two processes that want the same model one waits for the other.
    """

    def __init__(self, file: IO[bytes], folder: ModelsFolder, heard: Callable[[int], None]) -> None:
        super().__init__(file, folder.make_room)
        self._folder = folder
        self._heard = heard
        self._note = self._path.with_suffix(".version")
        self._noted = False
        self.version: Callable[[], FileVersion] = FileVersion

    @classmethod
    async def open(cls, path: Path, folder: ModelsFolder, heard: Callable[[int], None]) -> KeptPartial:
        """Waits for a lock as long as it takes."""
        while True:
            file = await asyncio.to_thread(_locked, path)
            if file is not None:
                return cls(file, folder, heard)
            await asyncio.sleep(BUSY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    async def take_up(self) -> FileVersion:
        """Read what is here already; returns the version that it is the beginning of, an empty one if nobody knows."""
        await asyncio.to_thread(self._hash_again)
        self._folder.promise(self.size)
        self.reserved = self.size
        self._heard(self.size)
        with suppress(OSError, ValueError):
            noted = orjson.loads(self._note.read_bytes())
            if isinstance(noted, dict) and all(isinstance(value, str) for value in noted.values()):
                return FileVersion(noted.get("etag", ""), noted.get("modified", ""))
        return FileVersion()

    def restart(self) -> None:
        super().restart()
        self._noted = False
        self._note.unlink(missing_ok=True)
        self._heard(0)

    async def write(self, data: bytes) -> None:
        if not self._noted:
            version = self.version()
            self._note.write_bytes(orjson.dumps({"etag": version.etag, "modified": version.modified}))
            self._noted = True
        await super().write(data)
        self._heard(self.size)

    def head(self) -> bytes:
        """The first few bytes."""
        self._file.seek(0)
        return self._file.read(64).lstrip()

    def discard(self) -> None:
        """It is not the beginning of anything."""
        self.restart()
        self._path.unlink(missing_ok=True)

    def move(self, path: Path) -> None:
        """To its place; whoever looks there sees a whole file or none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o644)
        self._path.replace(path)
        self._note.unlink(missing_ok=True)

    def _hash_again(self) -> None:
        self._hash = hashlib.sha256()
        self._file.seek(0)
        self.size = 0
        while block := self._file.read(BLOCK):
            self._hash.update(block)
            self.size += len(block)


def _locked(path: Path) -> IO[bytes] | None:
    """None where somebody else has the lock, or had it and has moved the file to its place."""
    file = path.open("a+b", buffering=0)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
    file.close()
    return None
