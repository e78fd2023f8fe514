"""Cache of fetched files on disk, by content hash. The least recently used file that no job holds is evicted first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.errors import CacheFull, InputTooLarge
from worker.fetch.partial import Partial

CONTENT = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class CachedFile:
    """One file in the cache. `size` is in bytes. `holds` is the number of users that still need it."""

    sha256: str
    path: Path
    size: int
    holds: int = 0


class FileHold:
    """A hold on a cached file. The file is not evicted before `release`."""

    def __init__(self, file: CachedFile) -> None:
        file.holds += 1
        self._file = file
        self._released = False

    @property
    def path(self) -> Path:
        """Path of the file, which is read-only."""
        return self._file.path

    @property
    def sha256(self) -> str:
        """Hash of the content in hexadecimal."""
        return self._file.sha256

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._file.size

    def copy(self) -> FileHold:
        """Return another hold on the file, which is released separately."""
        return FileHold(self._file)

    def release(self) -> None:
        """Release the hold. Further calls have no effect."""
        if not self._released:
            self._released = True
            self._file.holds -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class Store:
    """The cache: complete files in `contents/SHA256`, incomplete ones in `partial/`.

    `quota` is the most bytes of all files. Use it from the event loop only.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        self._contents = folder / "contents"
        self._partial = folder / "partial"
        self._quota = quota
        self._files: dict[str, CachedFile] = {}
        """Cached files by hash, least recently used first."""
        self._used = 0

    def open(self) -> None:
        """Create the folders, and read the files that an earlier process left. Blocks: call it in a thread."""
        self._contents.mkdir(parents=True, exist_ok=True)
        self._partial.mkdir(parents=True, exist_ok=True)
        for path in self._partial.iterdir():
            path.unlink()
        paths = [path for path in self._contents.iterdir() if CONTENT.fullmatch(path.name)]
        for path in sorted(paths, key=lambda path: path.stat().st_mtime):
            file = self._files[path.name] = CachedFile(path.name, path, path.stat().st_size)
            self._used += file.size

    def hold(self, sha256: str) -> FileHold | None:
        """Return a hold on the file with this hash, or None if it is not in the cache."""
        file = self._files.pop(sha256, None)
        if file is None:
            return None
        if not file.path.exists():  # another program deleted the file
            self._used -= file.size
            return None
        self._files[sha256] = file  # at the end of the order, because it was used just now
        return FileHold(file)

    @contextmanager
    def incoming(self) -> Iterator[Partial]:
        """Yield a new partial file. On exit its reserved space is released. It is deleted unless it was kept."""
        with Partial.create(self._partial, self.reserve_space) as partial:
            try:
                yield partial
            finally:
                self._used -= partial.reserved

    def keep(self, partial: Partial) -> FileHold:
        """Move a complete file into the cache, unless it is there, and return a hold on it."""
        hold = self.hold(partial.sha256)
        if hold is not None:
            return hold
        file = CachedFile(partial.sha256, self._contents / partial.sha256, partial.size)
        partial.move(file.path)
        self._used += file.size
        self._files[file.sha256] = file
        return FileHold(file)

    def reserve_space(self, size: int) -> None:
        """Count `size` more bytes as used. Files that no job holds are evicted if the quota requires it.

        Raises InputTooLarge if the size is above the quota, and CacheFull if files in use leave too little space.
        """
        if size > self._quota:
            raise InputTooLarge("the file is larger than the space that this worker has for fetched files")
        unused_files = [file for file in self._files.values() if not file.holds]
        for file in unused_files:
            if self._used + size <= self._quota:
                break
            file.path.unlink(missing_ok=True)
            del self._files[file.sha256]
            self._used -= file.size
        if self._used + size > self._quota:
            raise CacheFull("the files of running jobs fill the space that this worker has for fetched files")
        self._used += size
