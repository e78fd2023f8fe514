"""A folder of an engine as it was when it was last listed, so that what has changed in it is found quickly."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SETTLED_NS = 50_000_000
"""A folder that changed less long before it was listed, in nanoseconds, may have changed again within the same tick."""

Identity = tuple[int, int]
"""Inode and time of the last change of the contents, in nanoseconds: links to a file change neither."""


@dataclass(slots=True)
class KnownFolder:
    """A folder as it was when it was last listed.

    `files` are those in it by name; `theirs` the names of those that were there before the worker.
    """

    mtime_ns: int = -1
    listed_at_ns: int = 0
    files: dict[str, Identity] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    theirs: set[str] = field(default_factory=set)

    def settled(self, mtime_ns: int) -> bool:
        """Whether nothing came or went since: not where it changed so late that the clock shows no difference."""
        return mtime_ns == self.mtime_ns and self.listed_at_ns - mtime_ns > SETTLED_NS

    def changed(self, folder: Path) -> list[str]:
        """Return the files that are others than they were. Quick: there may be ten thousand."""
        start, found = f"{folder}{os.sep}", []
        for name, identity in self.files.items():
            with suppress(OSError, ValueError):
                now = os.lstat(start + name)
                if (now.st_ino, now.st_mtime_ns) != identity:
                    found.append(name)
        return found
