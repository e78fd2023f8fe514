"""A file on its way in: written piece by piece, hashed as it grows, moved to its place only when it is whole."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from worker.errors import CacheFull


class Partial:
    """`make_room(bytes)` is asked before anything is written; `reserved` is what it has granted so far."""

    def __init__(self, file: IO[bytes], make_room: Callable[[int], None]) -> None:
        self._file = file
        self._path = Path(file.name)
        self._make_room = make_room
        self._hash = hashlib.sha256()
        self.size = 0
        self.reserved = 0

    @classmethod
    def create(cls, folder: Path, make_room: Callable[[int], None]) -> Partial:
        # Closed by `__exit__`; deleted there too, unless it has moved.
        return cls(tempfile.NamedTemporaryFile(dir=folder, buffering=0, delete=False), make_room)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def reserve(self, size: int) -> None:
        """Make sure that a file of this size has room. Raises InputTooLarge, CacheFull."""
        if size > self.reserved:
            self._make_room(size - self.reserved)
            self.reserved = size

    def restart(self) -> None:
        """Forget what was written: it is not the beginning of what comes now."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Append. Raises InputTooLarge, CacheFull."""
        self.reserve(self.size + len(data))
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # the thread must not find the file closed
            raise

    def move(self, path: Path) -> None:
        """To its place, where nobody writes to it any more: jobs share it by hard links."""
        self._path.chmod(0o444)
        self._path.replace(path)

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise CacheFull("the disk of this worker is full") from error
        self._hash.update(data)
        self.size += len(data)
