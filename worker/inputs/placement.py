"""The files of jobs in ComfyUI's input folder: there for as long as ComfyUI has a prompt that reads them.

Every job can list that folder, so that a file is put there just before its prompt is sent, and not when it is accepted.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from worker.bodies import in_thread
from worker.inputs.store import link_or_copy

JOB_FOLDER = re.compile(r"job-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file of a job that waits in the worker's state, and its name in the job's folder."""

    name: str
    path: Path


@dataclass(slots=True)
class _StagedFolder:
    """`files` by name. `users` is the number of prompts of the job that ComfyUI has or is about to get."""

    files: dict[str, StagedFile] = field(default_factory=dict)
    users: int = 0
    forgotten: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PlacedInputs:
    """Puts the files of each job into a folder of the job's own in `shared`, ComfyUI's input folder, and removes them.

    `own` holds files that are made for it: what a short data URI holds, and copies of what may change. A folder of
    `shared` is removed once no prompt needs it; a job that is sent again gets its files again.
    """

    def __init__(self, shared: Path, own: Path) -> None:
        self.shared = shared
        self._own = own
        self._folders: dict[str, _StagedFolder] = {}

    def clear(self, state: Path) -> None:
        """Remove what an earlier process left; in `shared` only where that is a part of this worker's state. Blocks.

        Anywhere else another worker may have its jobs, or a ComfyUI that went on may still read a file.
        """
        shutil.rmtree(self._own, ignore_errors=True)
        for path in _folders_of_jobs(self.shared) if self.shared.is_relative_to(state.absolute()) else ():
            shutil.rmtree(path, ignore_errors=True)

    def stage(self, folder: str, name: str, path: Path) -> None:
        """Note a file that stays where it is until the job has ended."""
        self._folders.setdefault(folder, _StagedFolder()).files[name] = StagedFile(name, path)

    async def stage_data(self, folder: str, name: str, data: bytes) -> None:
        """Write down a short file. Raises DiskFull."""
        path = self._own / folder / name
        await in_thread(partial(_write, path, data))
        self.stage(folder, name, path)

    async def stage_copy(self, folder: str, name: str, source: Path) -> None:
        """Copy a file that may change or vanish while the job waits. Raises DiskFull, OSError."""
        path = self._own / folder / name
        await in_thread(partial(_copy, source, path))
        self.stage(folder, name, path)

    def has_files(self, folder: str) -> bool:
        """Whether a job has files."""
        return folder in self._folders

    async def place(self, folder: str) -> None:
        """Put a job's files into `shared` for one of its prompts. `release` has to follow, also where this fails.

        Raises DiskFull, OSError.
        """
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.users += 1
        async with staged.lock:
            await in_thread(partial(_place, tuple(staged.files.values()), self.shared / folder))

    async def release(self, folder: str) -> None:
        """Take a job's files out of `shared`, unless another of its prompts needs them."""
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.users -= 1
        await self._remove_unused(folder, staged)

    async def forget(self, folder: str) -> None:
        """The job has ended: nothing will be placed again. What ComfyUI still has is removed by `release`."""
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.forgotten = True
        await in_thread(partial(shutil.rmtree, self._own / folder, ignore_errors=True))
        await self._remove_unused(folder, staged)

    async def _remove_unused(self, folder: str, staged: _StagedFolder) -> None:
        async with staged.lock:
            if not staged.users:
                await in_thread(partial(shutil.rmtree, self.shared / folder, ignore_errors=True))
                if staged.forgotten:
                    self._folders.pop(folder, None)


def _folders_of_jobs(shared: Path) -> Iterable[Path]:
    if not shared.is_dir():
        return []
    return [path for path in shared.iterdir() if JOB_FOLDER.fullmatch(path.name) and not path.is_symlink()]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)


def _place(files: Iterable[StagedFile], folder: Path) -> None:
    """By name: some loaders take the files of a folder in the order in which they were written."""
    for file in sorted(files, key=lambda file: file.name):
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if path.samefile(file.path):  # of an earlier life of the worker, and ComfyUI may be reading it
                continue
            path.unlink()
        link_or_copy(file.path, path)
