"""Download of model files. Interrupted downloads are resumed, and a file is put into place after it was verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.backoff import Backoff
from worker.errors import CacheFull, Detail, FetchFailed, InputTooLarge, ModelMismatch, WorkerError
from worker.fetch.credentials import Credentials
from worker.fetch.download import Download, DownloadLimits, FileVersion
from worker.fetch.guard import Guard
from worker.fetch.policy import Policy
from worker.fetch.target import FetchTarget, read_target
from worker.models.folder import ModelsFolder, key_of
from worker.models.partial import KeptPartial
from worker.settings import FetchSettings
from worker.workflow.templates.template import ModelFile

AT_ONCE = 4
LONGEST_S = 24 * 3600.0
FAILURES, BACKOFF = 6, Backoff(0.2, 10.0, factor=3)
TRIES = 2
"""Downloads of a file that turns out to be wrong, each from its beginning."""
HTML_BEGINNINGS = (b"<!doctype", b"<html")

Progress = Callable[[ModelFile, int], None]
"""Called with a file and the number of its bytes that are downloaded."""


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """Result of one download. `error` is None if the file is in place."""

    file: ModelFile
    error: WorkerError | None = None


class ModelFetcher:
    """Downloads model files through the guard for all URLs, with the operator's credentials."""

    def __init__(self, settings: FetchSettings, folder: ModelsFolder, backoff: Backoff = BACKOFF) -> None:
        """Raises StartupError for settings that cannot be parsed."""
        self.folder = folder
        self._credentials = Credentials.read(settings.auth.get_secret_value())
        self._guard = Guard(Policy.read(settings.allow, settings.ports), idle_s=settings.idle_s)
        self._idle_s = settings.idle_s
        self._backoff = backoff
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._stack = AsyncExitStack()
        self._opened = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Create the folder and open the client session. Further calls have no effect. Raises StartupError."""
        if not self._opened:
            await asyncio.to_thread(self.folder.open)
            await self._stack.enter_async_context(self._guard)
            self._opened = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def fetch_all(self, files: Iterable[ModelFile], progress: Progress = lambda *_: None) -> list[FetchOutcome]:
        """Download files, a few at a time, and return their outcomes in the same order. A failure stops no other."""
        return await asyncio.gather(*(self._outcome(file, progress) for file in files))

    async def fetch(self, file: ModelFile, progress: Progress = lambda *_: None) -> None:
        """Download one file, unless it is present.

        After an error the downloaded part is kept for the next call. Raises UrlRefused, FetchFailed, ModelMismatch,
        CacheFull.
        """
        async with self._slots:
            for tries_left in reversed(range(TRIES)):
                if self.folder.has(file):
                    return
                try:
                    await self._download(file, progress)
                except ModelMismatch:  # the wrong bytes were deleted, so the next try starts from the beginning
                    if not tries_left:
                        raise
                else:
                    return

    async def _outcome(self, file: ModelFile, progress: Progress) -> FetchOutcome:
        """Download one file, and return its error in the outcome instead of raising it."""
        try:
            await self.fetch(file, progress)
        except WorkerError as error:
            return FetchOutcome(file, error)
        return FetchOutcome(file)

    async def _download(self, file: ModelFile, progress: Progress) -> None:
        """Download, verify and place one file."""
        target, path = self._target_and_path(file)
        partial_path = self.folder.partial_folder / key_of(file.folder, f"{file.file}\n{file.url}\n{file.sha256}")
        with await KeptPartial.open(partial_path, self.folder, lambda size: progress(file, size)) as partial:
            try:
                if self.folder.has(file):  # another process has downloaded it in the meantime
                    partial.discard()
                    return
                await self._download_missing_part(file, target, partial)
                _verify(file, target, partial)
                partial.move(path)
                self.folder.record(file, partial.sha256)
            except ModelMismatch:
                partial.discard()
                raise
            except OSError as error:
                raise CacheFull(f"models/{file.folder}/{file.file} cannot be written: {error.strerror}") from error
            finally:
                self.folder.release(partial.reserved)

    def _target_and_path(self, file: ModelFile) -> tuple[FetchTarget, Path]:
        """Return the URL of a file and its path in the folder of models. Raises FetchFailed, UrlRefused."""
        try:
            path = self.folder.path(file.folder, file.file)
        except ValueError as error:
            raise FetchFailed(str(error)) from error
        if self.folder.has_foreign(file):
            message = f"another file models/{file.folder}/{file.file} exists, which this worker did not fetch"
            raise FetchFailed(message, [Detail(message, suggestion="move it away, or correct the size of the model")])
        if not file.url:
            raise FetchFailed(f"models/{file.folder}/{file.file} has no URL in any template")
        return read_target(file.url), path

    async def _download_missing_part(self, file: ModelFile, target: FetchTarget, partial: KeptPartial) -> None:
        """Download the missing part of a file. Raises ModelMismatch if the server sends more than the expected size."""
        version = await partial.resume()
        if file.size:
            if partial.size > file.size:
                partial.restart()
            if partial.size == file.size:
                return
            partial.reserve(file.size)
        most_bytes = file.size or partial.size + self.folder.free
        limits = DownloadLimits(most_bytes, LONGEST_S, self._idle_s, FAILURES, self._backoff)
        download = Download(self._guard, self._credentials, target, partial, limits)
        download.version = version  # the server continues the partial file only if it still has this version
        partial.version = lambda: download.version  # the partial file stores the version of the latest response
        try:
            await download.run(FileVersion())  # no complete copy is present, so the server must send the file
        except InputTooLarge as error:
            raise _mismatch(file, target, f"it is larger than {limits.size} bytes") from error


def _verify(file: ModelFile, target: FetchTarget, partial: KeptPartial) -> None:
    """Raise ModelMismatch if size or sha256 differ, or if a file without a sha256 is an HTML page."""
    if file.size and partial.size != file.size:
        raise _mismatch(file, target, f"it has {partial.size} bytes instead of {file.size}")
    if file.sha256 and partial.sha256 != file.sha256:
        raise _mismatch(file, target, f"its sha256 is {partial.sha256}")
    if not file.sha256 and partial.head().lower().startswith(HTML_BEGINNINGS):
        raise _mismatch(file, target, "it is an HTML page")


def _mismatch(file: ModelFile, target: FetchTarget, reason: str) -> ModelMismatch:
    message = f"{target.host} sent another file than models/{file.folder}/{file.file}: {reason}"
    return ModelMismatch(message, [Detail(message, suggestion="correct the URL, the size or the sha256 of the model")])
