"""Input files of jobs on disk, from before a job is accepted until it has ended: `state/inputs/FOLDER/NAME`.

A name may contain folders."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from worker.bodies import SpooledFile, in_thread
from worker.errors import OutputNotKept
from worker.inputs.decode import KeptFile, SentFile
from worker.inputs.names import check_collisions
from worker.job import InputFile, new_folder

SMALL = 64 * 1024
"""Bytes below which the files of a request are written on the event loop."""


@dataclass(slots=True)
class ReceivedFiles:
    """Stored files of a request that is not a job yet. The code that creates the job sets `claimed`."""

    folder: str = field(default_factory=new_folder)
    files: tuple[InputFile, ...] = ()
    claimed: bool = False


class InputStore:
    """The folder of all jobs' input files.

    A job's files are written before its row in the journal. The row does not list them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def receive(self, sent: Sequence[SentFile]) -> AsyncIterator[ReceivedFiles]:
        """Store the files of a request and yield them. On exit they are removed, unless a job has claimed them.

        If files have the same name, the last one is stored. Raises InvalidInputFile, DiskFull.
        """
        received = ReceivedFiles()
        folder = self._folder / received.folder
        try:
            if by_name := {file.name: file for file in sent}:
                check_collisions(by_name)
                decoded = [(name, await file.decoded()) for name, file in by_name.items()]
                sizes = [len(content) if isinstance(content, bytes) else SMALL for _, content in decoded]
                if sum(sizes) < SMALL:  # a thread would take longer
                    received.files = tuple(_store_all(folder, decoded))
                else:
                    received.files = tuple(await in_thread(lambda: _store_all(folder, decoded)))
            yield received
        finally:
            if sent and not received.claimed:
                await self.remove(received.folder)

    def read_files(self, folder: str) -> tuple[InputFile, ...]:
        """Return the files of a job that an earlier process stored. Blocks. Raises OSError."""
        root = self._folder / folder
        return tuple(_input_file(path, root) for path in sorted(root.rglob("*")) if path.is_file())

    async def remove(self, folder: str) -> None:
        """Remove a job's files."""
        await in_thread(partial(shutil.rmtree, self._folder / folder, ignore_errors=True))

    def stale_folders(self, kept: Collection[str]) -> list[Path]:
        """Return the folders of jobs that no longer exist. `kept` are the folders of restored jobs. Blocks."""
        return stale_folders(self._folder, kept)


def stale_folders(root: Path, kept: Collection[str]) -> list[Path]:
    """Return the folders in `root` that are not in `kept`. Call this before new jobs are accepted."""
    return [path for path in root.iterdir() if path.name not in kept] if root.is_dir() else []


def _store_all(folder: Path, files: Sequence[tuple[str, bytes | SpooledFile | KeptFile]]) -> list[InputFile]:
    """Write the files into a new folder, and return them in the order of `files`."""
    folder.mkdir(parents=True)
    # Sorted by name, because some loaders read the files of a folder in the order of writing.
    stored = {name: _store(name, folder / name, content) for name, content in sorted(files, key=itemgetter(0))}
    return [stored[name] for name, _ in files]


def _store(name: str, path: Path, content: bytes | SpooledFile | KeptFile) -> InputFile:
    """Write, move or link one file to `path`, and return it."""
    if "/" in name:
        path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, KeptFile):
        return _link(name, path, content)
    if isinstance(content, SpooledFile):
        content.path.replace(path)
        return InputFile(name, path, content.size, content.sha256)
    path.write_bytes(content)
    return InputFile(name, path, len(content), hashlib.sha256(content).hexdigest())


def _link(name: str, path: Path, kept: KeptFile) -> InputFile:
    """Link or copy an earlier output to `path`. Raises OutputNotKept if it no longer exists."""
    try:
        link_or_copy(kept.path, path)
    except FileNotFoundError:
        raise OutputNotKept(f"input {name!r}: the earlier output has just expired") from None
    if kept.sha256:
        return InputFile(name, path, kept.size, kept.sha256)
    return replace(_input_file(path, path), name=name)


def link_or_copy(source: Path, path: Path) -> None:
    """Hard-link a file, or copy it if the file system cannot link it. Raises FileNotFoundError."""
    try:
        os.link(source, path)
    except FileNotFoundError:
        raise  # an OSError for which a copy would fail, too
    except OSError:
        shutil.copyfile(source, path)


def _input_file(path: Path, root: Path) -> InputFile:
    """Return a stored file with its size and hash. Its name is its path relative to `root`. Blocks."""
    name = path.relative_to(root).as_posix()
    with path.open("rb") as file:
        return InputFile(name, path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
