"""The input files of jobs on disk, from before a job is accepted until it has ended: `state/inputs/FOLDER/NAME`.

A name may have folders."""

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
from worker.inputs.names import check_together
from worker.job import InputFile, new_folder


@dataclass(slots=True)
class ReceivedFiles:
    """Files in the folder of a job that does not exist yet. The one that makes the job of them sets `taken`."""

    folder: str = field(default_factory=new_folder)
    files: tuple[InputFile, ...] = ()
    claimed: bool = False


class InputStore:
    """Owns the folder. A job's files are there before its row in the journal is, which has no word of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def receive(self, sent: Sequence[SentFile]) -> AsyncIterator[ReceivedFiles]:
        """Store a request's files for the job that is made of it; at exit they are removed unless they were taken.

        Of files with the same name the last one counts. Raises InvalidInputFile, DiskFull.
        """
        arrived = ReceivedFiles()
        folder = self._folder / arrived.folder
        try:
            if by_name := {file.name: file for file in sent}:
                check_together(by_name)
                decoded = [(name, await file.decoded()) for name, file in by_name.items()]
                arrived.files = tuple(await in_thread(lambda: _put(folder, decoded)))
            yield arrived
        finally:
            if sent and not arrived.claimed:
                await self.remove(arrived.folder)

    def read_files(self, folder: str) -> tuple[InputFile, ...]:
        """Return the files of a job of an earlier process. Blocks. Raises OSError."""
        root = self._folder / folder
        return tuple(_described(path, root) for path in sorted(root.rglob("*")) if path.is_file())

    async def remove(self, folder: str) -> None:
        """Remove a job's files."""
        await in_thread(partial(shutil.rmtree, self._folder / folder, ignore_errors=True))

    def stale_folders(self, kept: Collection[str]) -> list[Path]:
        """Return the folders of jobs that died with an earlier process. Blocks."""
        return stale_folders(self._folder, kept)


def stale_folders(root: Path, kept: Collection[str]) -> list[Path]:
    """Return the folders of jobs that are not kept any more. Call it before a new job can have one."""
    return [path for path in root.iterdir() if path.name not in kept] if root.is_dir() else []


def _put(folder: Path, files: Sequence[tuple[str, bytes | SpooledFile | KeptFile]]) -> list[InputFile]:
    folder.mkdir(parents=True)
    # By name: some loaders take the files of a folder in the order in which they were written.
    placed = {name: _placed(name, folder / name, content) for name, content in sorted(files, key=itemgetter(0))}
    return [placed[name] for name, _ in files]


def _placed(name: str, path: Path, content: bytes | SpooledFile | KeptFile) -> InputFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, KeptFile):
        return _linked(name, path, content)
    if isinstance(content, SpooledFile):
        content.path.replace(path)
        return InputFile(name, path, content.size, content.sha256)
    path.write_bytes(content)
    return InputFile(name, path, len(content), hashlib.sha256(content).hexdigest())


def _linked(name: str, path: Path, kept: KeptFile) -> InputFile:
    try:
        link_or_copy(kept.path, path)
    except FileNotFoundError:
        raise OutputNotKept(f"input {name!r}: the output has just expired") from None
    return InputFile(name, path, kept.size, kept.sha256) if kept.sha256 else replace(_described(path, path), name=name)


def link_or_copy(source: Path, path: Path) -> None:
    """Share a file by hard link; a copy where the file system has none."""
    try:
        os.link(source, path)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, path)


def _described(path: Path, root: Path) -> InputFile:
    name = path.relative_to(root).as_posix()
    with path.open("rb") as file:
        return InputFile(name, path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
