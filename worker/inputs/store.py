"""The input files of jobs on disk, from before a job is accepted until it has ended: `state/inputs/FOLDER/NAME`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from worker.bodies import SpooledFile, in_thread
from worker.inputs.decode import SentFile
from worker.job import InputFile, new_folder


@dataclass(slots=True)
class ArrivedFiles:
    """Files in the folder of a job that does not exist yet. The one that makes the job of them sets `taken`."""

    folder: str = field(default_factory=new_folder)
    files: tuple[InputFile, ...] = ()
    taken: bool = False


class InputStore:
    """Owns the folder. A job's files are there before its row in the journal is, which has no word of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def arriving(self, sent: Sequence[SentFile]) -> AsyncIterator[ArrivedFiles]:
        """Store a request's files for the job that is made of it; at exit they are removed unless they were taken.

        Of files with the same name the last one counts. Raises InvalidInputFile, DiskFull.
        """
        arrived = ArrivedFiles()
        folder = self._folder / arrived.folder
        try:
            if by_name := {file.name: file for file in sent}:
                decoded = [(folder / name, await file.decoded()) for name, file in by_name.items()]
                arrived.files = tuple(await in_thread(lambda: _put(folder, decoded)))
            yield arrived
        finally:
            if sent and not arrived.taken:
                await self.remove(arrived.folder)

    def stored(self, folder: str) -> tuple[InputFile, ...]:
        """Return the files of a job of an earlier process. Blocks. Raises OSError."""
        return tuple(map(_described, sorted((self._folder / folder).glob("*"))))

    async def remove(self, folder: str) -> None:
        """Remove a job's files."""
        await in_thread(partial(shutil.rmtree, self._folder / folder, ignore_errors=True))

    def keep_only(self, folders: Collection[str]) -> None:
        """Remove the files of jobs that died with an earlier process. Blocks."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in folders:
                    shutil.rmtree(path, ignore_errors=True)


def _put(folder: Path, files: Sequence[tuple[Path, bytes | SpooledFile]]) -> list[InputFile]:
    folder.mkdir(parents=True)
    return [_placed(path, content) for path, content in files]


def _placed(path: Path, content: bytes | SpooledFile) -> InputFile:
    if isinstance(content, SpooledFile):
        content.path.replace(path)
        return InputFile(path.name, path, content.size, content.sha256)
    path.write_bytes(content)
    return InputFile(path.name, path, len(content), hashlib.sha256(content).hexdigest())


def _described(path: Path) -> InputFile:
    with path.open("rb") as file:
        return InputFile(path.name, path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
