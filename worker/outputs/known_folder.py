"""Files in the folders of an engine, and the last listing of a folder, by which changes are found quickly."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from worker.engine.protocol.api import FileRef
from worker.job import EngineFile

SETTLED_NS = 50_000_000
"""Nanoseconds between the last change of a folder and its listing, after which the listing is complete.

After a shorter time the folder may have changed again within the same clock tick."""

Identity = tuple[int, int]
"""Inode and mtime of a file in nanoseconds. A new hard link to the file changes neither."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in a folder of the engine.

    `state` is the state of the file when it was found. `changed_ms` is its ctime in milliseconds since the epoch.
    """

    path: Path
    state: EngineFile
    changed_ms: float

    @property
    def identity(self) -> Identity:
        """Inode and mtime in nanoseconds."""
        return self.state.inode, self.state.mtime_ns

    @property
    def ref(self) -> FileRef:
        """The name by which ComfyUI would report the file."""
        return reported_name(self.state)


def reported_name(file: EngineFile) -> FileRef:
    """Return the name by which ComfyUI reports a file."""
    path = PurePosixPath(file.path)
    return FileRef(path.name, "" if path.parent == PurePosixPath() else str(path.parent), file.folder)


@dataclass(slots=True)
class KnownFolder:
    """The last listing of a folder.

    - `files`: the identity of each file, by name.
    - `folders`: names of the folders inside.
    - `preexisting`: names of the files that existed before the worker started.
    """

    mtime_ns: int = -1
    listed_at_ns: int = 0
    files: dict[str, Identity] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    preexisting: set[str] = field(default_factory=set)

    def is_current(self, mtime_ns: int) -> bool:
        """Return True if no file was added or removed since the listing. `mtime_ns` is the folder's current mtime.

        A listing that was made within SETTLED_NS of the last change does not count, because it may miss a later change
        with the same mtime.
        """
        return mtime_ns == self.mtime_ns and self.listed_at_ns - mtime_ns > SETTLED_NS

    def changed_files(self, folder: Path) -> list[str]:
        """Return the names of files whose identity has changed. `folder` is the path of this folder."""
        prefix, changed_names = f"{folder}{os.sep}", []  # joining texts is fast enough for ten thousand files
        for name, identity in self.files.items():
            with suppress(OSError, ValueError):
                stat = os.lstat(prefix + name)
                if (stat.st_ino, stat.st_mtime_ns) != identity:
                    changed_names.append(name)
        return changed_names
