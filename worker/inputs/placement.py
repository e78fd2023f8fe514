"""Placement of a job's files in ComfyUI's input folder while ComfyUI has a prompt that reads them.

Every job can list that folder. So files are placed just before the prompt is sent, not when the job is accepted.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from worker.bodies import in_thread
from worker.engine.engine import Engine
from worker.inputs.store import link_or_copy

JOB_FOLDER = re.compile(r"job-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that waits in the worker's state folder, and its name in the job's folder."""

    name: str
    path: Path


@dataclass(slots=True)
class _StagedFolder:
    """The files of one job by name.

    `users` is the number of its prompts that are running or about to be sent. `forgotten` is True after the job ended.
    """

    files: dict[str, StagedFile] = field(default_factory=dict)
    users: int = 0
    forgotten: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PlacedInputs:
    """Places and removes the files of jobs, each job in its own folder inside `shared`, ComfyUI's input folder.

    `own_folder` is for files that the worker makes: the content of short data URIs, and copies of files that may
    change. A job's folder in `shared` is removed when no prompt needs it, and placed again for another prompt.
    """

    def __init__(self, shared: Path, own_folder: Path) -> None:
        self.shared = shared
        self._own_folder = own_folder
        self._folders: dict[str, _StagedFolder] = {}

    @classmethod
    async def of(cls, engines: Sequence[Engine], state: Path) -> Self | None:
        """Return the part that places files in the input folder that the engines share, and hand it to them.

        Files of an earlier process are removed. Return None if the worker cannot reach the input folder.
        """
        shared = engines[0].config.input
        if shared is None:
            return None
        placed = cls(shared, state / "staged")
        await asyncio.to_thread(placed.clear, state)
        for engine in engines:
            engine.inputs = placed
        return placed

    def clear(self, state: Path) -> None:
        """Remove the files that an earlier process left. Blocks.

        `shared` is cleaned only if it is inside this worker's state folder. Elsewhere the files may belong to another
        worker, or to a ComfyUI that is still running.
        """
        shutil.rmtree(self._own_folder, ignore_errors=True)
        for path in _folders_of_jobs(self.shared) if self.shared.is_relative_to(state.absolute()) else ():
            shutil.rmtree(path, ignore_errors=True)

    def stage(self, folder: str, name: str, path: Path) -> None:
        """Add a file to a job. The file must stay in place until the job has ended."""
        self._folders.setdefault(folder, _StagedFolder()).files[name] = StagedFile(name, path)

    async def stage_data(self, folder: str, name: str, data: bytes) -> None:
        """Write a file to the worker's own folder and add it to a job. Raises DiskFull."""
        path = self._own_folder / folder / name
        await in_thread(partial(_write, path, data))
        self.stage(folder, name, path)

    async def stage_copy(self, folder: str, name: str, source: Path) -> None:
        """Copy a file that may change or be deleted while the job waits, and add it. Raises DiskFull, OSError."""
        path = self._own_folder / folder / name
        await in_thread(partial(_copy, source, path))
        self.stage(folder, name, path)

    def has_files(self, folder: str) -> bool:
        """Return True if a job has files."""
        return folder in self._folders

    async def place(self, folder: str) -> None:
        """Place a job's files in `shared` for one of its prompts. Call `release` afterwards, also if this fails.

        Raises DiskFull, OSError.
        """
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.users += 1
        async with staged.lock:
            await in_thread(partial(_place, tuple(staged.files.values()), self.shared / folder))

    async def release(self, folder: str) -> None:
        """Remove a job's files from `shared`, unless another of its prompts needs them."""
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.users -= 1
        await self._remove_unused(folder, staged)

    async def forget(self, folder: str) -> None:
        """Remove the staged files of a job that has ended. Files that ComfyUI still uses are removed by `release`."""
        staged = self._folders.get(folder)
        if staged is None:
            return
        staged.forgotten = True
        await in_thread(partial(shutil.rmtree, self._own_folder / folder, ignore_errors=True))
        await self._remove_unused(folder, staged)

    async def _remove_unused(self, folder: str, staged: _StagedFolder) -> None:
        """Remove a job's files from `shared` if no prompt uses them. If the job has ended, forget the job."""
        async with staged.lock:
            if not staged.users:
                await in_thread(partial(shutil.rmtree, self.shared / folder, ignore_errors=True))
                if staged.forgotten:
                    self._folders.pop(folder, None)


def _folders_of_jobs(shared: Path) -> Iterable[Path]:
    """Return the folders of jobs in ComfyUI's input folder."""
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
    """Link or copy files into a folder, sorted by name, because some loaders read a folder in the order of writing."""
    for file in sorted(files, key=lambda file: file.name):
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if path.samefile(file.path):  # placed before the worker restarted, and ComfyUI may be reading it
                continue
            path.unlink()
        link_or_copy(file.path, path)
