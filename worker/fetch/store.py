"""Fetched files on disk, by content: the least recently used ones make room, those that a job holds never do."""

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
class Content:
    """One stored file; `size` in bytes, `holders` are those who still need it."""

    sha256: str
    path: Path
    size: int
    holders: int = 0


class Held:
    """A stored file that stays where it is until `release`."""

    def __init__(self, content: Content) -> None:
        content.holders += 1
        self._content = content
        self._released = False

    @property
    def path(self) -> Path:
        return self._content.path

    @property
    def sha256(self) -> str:
        return self._content.sha256

    @property
    def size(self) -> int:
        return self._content.size

    def again(self) -> Held:
        """For somebody else, who releases it on his own."""
        return Held(self._content)

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._content.holders -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class Store:
    """`contents/SHA256` are whole files, `partial/` those being written. Its books are kept on the event loop."""

    def __init__(self, folder: Path, quota: int) -> None:
        self._contents = folder / "contents"
        self._partial = folder / "partial"
        self._quota = quota
        self._known: dict[str, Content] = {}
        """In the order of their last use."""
        self._used = 0

    def open(self) -> None:
        """Make the folders, take in what an earlier life left. May take a while: for a thread."""
        self._contents.mkdir(parents=True, exist_ok=True)
        self._partial.mkdir(parents=True, exist_ok=True)
        for path in self._partial.iterdir():
            path.unlink()
        found = [(path.stat(), path) for path in self._contents.iterdir() if CONTENT.fullmatch(path.name)]
        for stat, path in sorted(found, key=lambda item: item[0].st_mtime):
            self._known[path.name] = Content(path.name, path, stat.st_size)
            self._used += stat.st_size

    def hold(self, sha256: str) -> Held | None:
        """The file with this content, if it is here."""
        content = self._known.pop(sha256, None)
        if content is None or not content.path.exists():
            if content is not None:
                self._used -= content.size  # somebody else deleted it
            return None
        self._known[sha256] = content
        return Held(content)

    @contextmanager
    def incoming(self) -> Iterator[Partial]:
        """A file to write into. What isn't kept by the end is gone."""
        with Partial.create(self._partial, self.make_room) as partial:
            try:
                yield partial
            finally:
                self._used -= partial.reserved

    def keep(self, partial: Partial) -> Held:
        """Give a finished file its place."""
        held = self.hold(partial.sha256)
        if held is not None:
            return held
        content = Content(partial.sha256, self._contents / partial.sha256, partial.size)
        partial.move(content.path)
        self._used += content.size
        self._known[content.sha256] = content
        return Held(content)

    def make_room(self, size: int) -> None:
        """Count `size` more bytes as used, having deleted files that nobody holds where the quota asks for it.

        Raises InputTooLarge where it could never fit, CacheFull where others hold too much now.
        """
        if size > self._quota:
            raise InputTooLarge("the file is larger than all the space that this worker has for such files")
        for content in [content for content in self._known.values() if not content.holders]:
            if self._used + size <= self._quota:
                break
            content.path.unlink(missing_ok=True)
            del self._known[content.sha256]
            self._used -= content.size
        if self._used + size > self._quota:
            raise CacheFull("the files of running jobs fill the space that this worker has for fetched files")
        self._used += size
