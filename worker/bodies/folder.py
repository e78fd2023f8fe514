"""The folder in which the files of one request lie until the request is over."""

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
    """An async context manager that owns a folder inside `parent` and removes it at exit, with what is still in it.

    The folder is made with its first file, so a request without long strings costs nothing. `parent` has to be on the
    file system of the place to which `move_out` moves files.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._files = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            await in_thread(lambda: shutil.rmtree(self._folder or Path(), ignore_errors=True))

    def new_path(self) -> Path:
        """Return a path that no file has yet. Blocks for as long as it takes to make the folder."""
        if self._folder is None:
            self._parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="body-", dir=self._parent))
        self._files += 1
        return self._folder / str(self._files)

    async def move_out(self, path: Path, target: Path) -> None:
        """Move a file out of the folder to a place where it stays."""
        await in_thread(lambda: path.replace(target))


async def remove_leftovers(parent: Path) -> None:
    """Remove the folders of requests that a former process left behind. Nothing may be spooled yet."""
    await in_thread(lambda: shutil.rmtree(parent, ignore_errors=True))


async def in_thread(function: Callable[[], Result]) -> Result:
    """Call a function in a thread and wait until it has ended, also when the caller is cancelled meanwhile.

    Otherwise the thread would still write to a folder that is being removed. Raises DiskFull and ResourcesExhausted.
    """
    call = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait({call})
        if not call.cancelled():
            call.exception()  # looked at, or asyncio logs it
        raise
    except (OSError, MemoryError, RuntimeError) as error:
        if lacking := shortage_error(error):
            raise lacking from error
        raise
