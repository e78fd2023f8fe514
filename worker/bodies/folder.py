"""The temporary folder of one request."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from worker.errors import shortage_error

Result = TypeVar("Result")


class SpoolFolder:
    """Async context manager for a folder inside `parent` that is removed on exit with its contents.

    The folder is created with its first file, so a request without long strings costs nothing. `parent` must be on the
    same file system as the targets of `move_out`.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._file_count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            await in_thread(lambda: shutil.rmtree(self._folder or Path(), ignore_errors=True))

    def new_path(self) -> Path:
        """Return an unused path in the folder. Blocks while the folder is created."""
        if self._folder is None:
            self._parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="body-", dir=self._parent))
        self._file_count += 1
        return self._folder / str(self._file_count)

    async def move_out(self, path: Path, target: Path) -> None:
        """Move a file to a permanent place."""
        await in_thread(lambda: path.replace(target))


async def remove_leftovers(parent: Path) -> None:
    """Remove folders of requests that an earlier process left behind. Call it before any request is read."""
    await in_thread(lambda: shutil.rmtree(parent, ignore_errors=True))


async def in_thread(function: Callable[[], Result]) -> Result:
    """Call a function in a thread, and return its result. Wait for its end even if the caller is cancelled.

    Otherwise the thread could still write to a folder that is being removed. Raises DiskFull or ResourcesExhausted for
    a lack of disk space, memory, file descriptors or threads.
    """
    call = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait({call})
        if not call.cancelled():
            call.exception()  # retrieved so that asyncio does not log it
        raise
    except (OSError, MemoryError, RuntimeError) as error:
        if resource_error := shortage_error(error):
            raise resource_error from error
        raise
