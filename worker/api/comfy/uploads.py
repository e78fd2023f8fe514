"""The files that callers have uploaded. They take the place of ComfyUI's input folder, which callers do not share."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from worker.api.comfy.client_prompts import Scope
from worker.bodies import SpooledFile, in_thread
from worker.engine.protocol.api import FileRef

MOST_FILES = 10_000
"""Number of files that are kept."""
SWEEP_S = 30.0
"""Seconds between two searches for files that have expired."""


@dataclass(slots=True)
class UploadedFile:
    """An uploaded file. `expires_at` is on the monotonic clock, and each use of the file moves it."""

    ref: FileRef
    path: Path
    size: int
    sha256: str
    expires_at: float


@dataclass(slots=True)
class Uploads:
    """Uploaded files by caller and ComfyUI's name.

    A file is kept for `life_s` seconds after its last use, and all together have at most `max_bytes`. Files do not
    survive a restart of the worker.
    """

    folder: Path
    life_s: float
    max_bytes: int
    _by_scope: dict[Scope, dict[FileRef, UploadedFile]] = field(default_factory=dict)
    _count: int = 0

    async def clear(self) -> None:
        """Remove the files of earlier processes."""
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def find(self, scope: Scope, ref: FileRef) -> UploadedFile | None:
        """Return a caller's file, or None. The file lives on from now."""
        upload = self._by_scope.get(scope, {}).get(ref)
        if upload is not None:
            upload.expires_at = time.monotonic() + self.life_s
        return upload

    async def store(self, scope: Scope, ref: FileRef, file: SpooledFile, *, overwrite: bool = False) -> FileRef:
        """Keep a file, and return its name, which ComfyUI's rules choose if another file has the wanted one.

        A file with the same content keeps its name. The file is moved.
        """
        files = self._by_scope.setdefault(scope, {})
        name = ref if overwrite else next(name for name in _names(ref) if self._is_free(files.get(name), file))
        self._count += 1
        path = self.folder / scope_folder(scope) / f"{self._count}{PurePosixPath(ref.filename).suffix[:20]}"
        await in_thread(partial(_move, file.path, path))
        former = files.pop(name, None)
        files[name] = UploadedFile(name, path, file.size, file.sha256, time.monotonic() + self.life_s)
        if former is not None:
            await in_thread(partial(former.path.unlink, missing_ok=True))
        await self.sweep()
        return name

    async def sweep_periodically(self) -> None:
        """Remove expired files, without end."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Remove the files that have expired.

        If all together are too large, remove the oldest files of the principal that has the most.
        """
        now = time.monotonic()
        removed = [item for item in self._all() if item[1].expires_at <= now]
        kept = [item for item in self._all() if item[1].expires_at > now]
        kept.sort(key=lambda item: item[1].expires_at, reverse=True)
        sizes = Counter[str]()
        for scope, upload in kept:
            sizes[scope.principal] += upload.size
        while (sizes.total() > self.max_bytes and len(kept) > 1) or len(kept) > MOST_FILES:
            [(largest, _)] = sizes.most_common(1)
            oldest = next(item for item in reversed(kept) if item[0].principal == largest)
            kept.remove(oldest)
            removed.append(oldest)
            sizes[largest] -= oldest[1].size
        for scope, upload in removed:
            del self._by_scope[scope][upload.ref]
            if not self._by_scope[scope]:
                del self._by_scope[scope]
        if removed:
            await in_thread(partial(_remove, [upload.path for _, upload in removed]))

    def _all(self) -> Iterator[tuple[Scope, UploadedFile]]:
        return ((scope, upload) for scope, files in self._by_scope.items() for upload in files.values())

    def _is_free(self, existing: UploadedFile | None, file: SpooledFile) -> bool:
        """Return whether a name is free, or belongs to a file of the same content."""
        return existing is None or existing.sha256 == file.sha256


def _names(ref: FileRef) -> Iterator[FileRef]:
    """Yield the wanted name, and then `name (1).ext` and so on."""
    yield ref
    path, number = PurePosixPath(ref.filename), 0
    while True:
        number += 1
        yield replace(ref, filename=f"{path.stem} ({number}){path.suffix}")


def scope_folder(scope: Scope) -> str:
    """Return the name of a caller's folder. Names of callers may have characters that a path must not have."""
    return hashlib.sha256(repr(tuple(scope)).encode()).hexdigest()[:32]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
