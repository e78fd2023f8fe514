"""Bringing model files: several at once, each taken up where it broke off, in its place only when it is right."""

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
"""How often a file that turns out wrong is brought from its beginning."""
PAGES = (b"<!doctype", b"<html")

Heard = Callable[[ModelFile, int], None]
"""Told how many bytes of a file are here."""


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of one file: `error` is None where it is in its place."""

    file: ModelFile
    error: WorkerError | None = None


class ModelFetcher:
    """Through the same guard as every URL, with the operator's credentials."""

    def __init__(self, settings: FetchSettings, folder: ModelsFolder, backoff: Backoff = BACKOFF) -> None:
        """Raises StartupError for settings that can't be read."""
        self.folder = folder
        self._credentials = Credentials.read(settings.auth.get_secret_value())
        self._guard = Guard(Policy.read(settings.allow, settings.ports), idle_s=settings.idle_s)
        self._idle_s = settings.idle_s
        self._backoff = backoff
        self._places = asyncio.Semaphore(AT_ONCE)
        self._stack = AsyncExitStack()
        self._opened = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Make the folder and open what downloads need; again without effect. Raises StartupError."""
        if not self._opened:
            await asyncio.to_thread(self.folder.open)
            await self._stack.enter_async_context(self._guard)
            self._opened = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def fetch_all(self, files: Iterable[ModelFile], heard: Heard = lambda *_: None) -> list[FetchOutcome]:
        """Bring them, a few at once; one that fails stops none of the others."""
        return await asyncio.gather(*(self._outcome(file, heard) for file in files))

    async def fetch(self, file: ModelFile, heard: Heard = lambda *_: None) -> None:
        """Put one file in its place, unless it is there.

        Raises UrlRefused, FetchFailed, ModelMismatch, CacheFull. What has come of it so far is kept.
        """
        async with self._places:
            for tries_left in reversed(range(TRIES)):
                if self.folder.has(file):
                    return
                try:
                    await self._bring(file, heard)
                except ModelMismatch:
                    if not tries_left:
                        raise

    async def _outcome(self, file: ModelFile, heard: Heard) -> FetchOutcome:
        try:
            await self.fetch(file, heard)
        except WorkerError as error:
            return FetchOutcome(file, error)
        return FetchOutcome(file)

    async def _bring(self, file: ModelFile, heard: Heard) -> None:
        target, path = self._places_of(file)
        partial_path = self.folder.partial / key_of(file.folder, f"{file.file}\n{file.url}\n{file.sha256}")
        with await KeptPartial.open(partial_path, self.folder, lambda size: heard(file, size)) as partial:
            try:
                if self.folder.has(file):  # another process has brought it meanwhile
                    partial.discard()
                    return
                await self._complete(file, target, partial)
                _verify(file, target, partial)
                partial.move(path)
                self.folder.keep(file, partial.sha256)
            except ModelMismatch:
                partial.discard()
                raise
            except OSError as error:
                raise CacheFull(f"models/{file.folder}/{file.file} can't be written: {error.strerror}") from error
            finally:
                self.folder.give_back(partial.reserved)

    def _places_of(self, file: ModelFile) -> tuple[FetchTarget, Path]:
        try:
            path = self.folder.path(file.folder, file.file)
        except ValueError as error:
            raise FetchFailed(str(error)) from error
        if self.folder.is_others(file):
            message = f"there is another file models/{file.folder}/{file.file}, which was not fetched by this worker"
            raise FetchFailed(message, [Detail(message, suggestion="move it away, or correct the size of the model")])
        if not file.url:
            raise FetchFailed(f"nobody says where models/{file.folder}/{file.file} can be had")
        return read_target(file.url), path

    async def _complete(self, file: ModelFile, target: FetchTarget, partial: KeptPartial) -> None:
        """Get what is missing of it."""
        version = await partial.take_up()
        if file.size:
            if partial.size > file.size:
                partial.restart()
            if partial.size == file.size:
                return
            partial.reserve(file.size)
        most = file.size or partial.size + self.folder.free
        limits = DownloadLimits(most, LONGEST_S, self._idle_s, FAILURES, self._backoff)
        download = Download(self._guard, self._credentials, target, partial, limits)
        download.version = version
        partial.version = lambda: download.version
        try:
            await download.run(FileVersion())
        except InputTooLarge as error:
            raise _wrong(file, target, f"it is larger than {limits.size} bytes") from error


def _verify(file: ModelFile, target: FetchTarget, partial: KeptPartial) -> None:
    """Raises ModelMismatch."""
    if file.size and partial.size != file.size:
        raise _wrong(file, target, f"it has {partial.size} bytes instead of {file.size}")
    if file.sha256 and partial.sha256 != file.sha256:
        raise _wrong(file, target, f"its sha256 is {partial.sha256}")
    if not file.sha256 and partial.head().lower().startswith(PAGES):
        raise _wrong(file, target, "it is a page for people")


def _wrong(file: ModelFile, target: FetchTarget, why: str) -> ModelMismatch:
    message = f"{target.host} sent another file than models/{file.folder}/{file.file}: {why}"
    return ModelMismatch(message, [Detail(message, suggestion="correct the URL, the size or the sha256 of the model")])
