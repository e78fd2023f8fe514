"""A partial download of a model file. It is kept after an interruption, and resumed by the next process."""

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
"""Seconds between checks of a file that another process is downloading."""


class KeptPartial(Partial):
    """A partial file that is kept on disk, with the version of the server's file in a second file next to it.

    The version is needed to resume the download. The open file is locked: a second process that needs the same model
    waits. Before the first bytes are written, `version` is called and its result is stored. `progress` is called with
    the size after each change.
    """

    def __init__(self, file: IO[bytes], folder: ModelsFolder, progress: Callable[[int], None]) -> None:
        super().__init__(file, folder.reserve_space)
        self._folder = folder
        self._progress = progress
        self._version_path = self._path.with_suffix(".version")
        self._version_written = False
        self.version: Callable[[], FileVersion] = FileVersion

    @classmethod
    async def open(cls, path: Path, folder: ModelsFolder, progress: Callable[[int], None]) -> KeptPartial:
        """Open and lock the file at `path`. Wait without a time limit while another process has the lock."""
        while True:
            file = await asyncio.to_thread(_open_locked, path)
            if file is not None:
                return cls(file, folder, progress)
            await asyncio.sleep(BUSY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    async def resume(self) -> FileVersion:
        """Hash the bytes that are on disk, and reserve their space. Return their version, or an empty one."""
        await asyncio.to_thread(self._hash_again)
        self._folder.reserve(self.size)
        self.reserved = self.size
        self._progress(self.size)
        with suppress(OSError, ValueError):
            version = orjson.loads(self._version_path.read_bytes())
            if isinstance(version, dict) and all(isinstance(value, str) for value in version.values()):
                return FileVersion(version.get("etag", ""), version.get("modified", ""))
        return FileVersion()

    def restart(self) -> None:
        """Discard the bytes on disk and their version, so that the file can be written from its beginning."""
        super().restart()
        self._version_written = False
        self._version_path.unlink(missing_ok=True)
        self._progress(0)

    async def write(self, data: bytes) -> None:
        """Append bytes. Before the first ones the version is stored. Raises InputTooLarge, CacheFull."""
        if not self._version_written:
            version = self.version()
            self._version_path.write_bytes(orjson.dumps({"etag": version.etag, "modified": version.modified}))
            self._version_written = True
        await super().write(data)
        self._progress(self.size)

    def head(self) -> bytes:
        """Return the first 64 bytes without leading white space."""
        self._file.seek(0)
        return self._file.read(64).lstrip()

    def discard(self) -> None:
        """Delete the file and its version."""
        self.restart()
        self._path.unlink(missing_ok=True)

    def move(self, path: Path) -> None:
        """Move the complete file to its path in one step, so that ComfyUI never sees a part of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o644)
        self._path.replace(path)
        self._version_path.unlink(missing_ok=True)

    def _hash_again(self) -> None:
        """Compute hash and size from the bytes on disk. Blocks."""
        self._hash = hashlib.sha256()
        self._file.seek(0)
        self.size = 0
        while block := self._file.read(BLOCK):
            self._hash.update(block)
            self.size += len(block)


def _open_locked(path: Path) -> IO[bytes] | None:
    """Open and lock a file. Return None if another process has the lock, or has just moved the file into place."""
    file = path.open("a+b", buffering=0)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:  # else it was moved before it was locked
            return file
    file.close()
    return None
