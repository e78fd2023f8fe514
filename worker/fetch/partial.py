"""A file while it is downloaded: written in pieces, hashed on the way, and moved to its path when it is complete."""

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
    """An incomplete file.

    `reserve_space(bytes)` is called before anything is written, and raises an error if there is not enough space.
    `size` is the bytes written, `reserved` the bytes reserved so far.
    """

    def __init__(self, file: IO[bytes], reserve_space: Callable[[int], None]) -> None:
        self._file = file
        self._path = Path(file.name)
        self._reserve_space = reserve_space
        self._hash = hashlib.sha256()
        self.size = 0
        self.reserved = 0

    @classmethod
    def create(cls, folder: Path, reserve_space: Callable[[int], None]) -> Partial:
        """Return a new empty file in `folder`. Leaving its context deletes it, unless it was moved."""
        return cls(tempfile.NamedTemporaryFile(dir=folder, buffering=0, delete=False), reserve_space)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """Hash of the bytes written so far, in hexadecimal."""
        return self._hash.hexdigest()

    def reserve(self, size: int) -> None:
        """Reserve space for a file of `size` bytes in total. Raises InputTooLarge, CacheFull."""
        if size > self.reserved:
            self._reserve_space(size - self.reserved)
            self.reserved = size

    def restart(self) -> None:
        """Discard the written bytes, so that the file can be written from its beginning."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Append bytes. Raises InputTooLarge, CacheFull."""
        self.reserve(self.size + len(data))
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # the file must not be closed while the thread writes
            raise

    def move(self, path: Path) -> None:
        """Move the complete file to its path and make it read-only, because jobs share it by hard links."""
        self._path.chmod(0o444)
        self._path.replace(path)

    def _write(self, data: bytes) -> None:
        """Write and hash all bytes. Blocks. Raises CacheFull if the disk is full."""
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
