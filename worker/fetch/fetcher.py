"""Fetching of input files by URL, with one shared download per URL and a cache of the contents."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver

from worker.errors import FetchFailed, WorkerError
from worker.events import CacheHit, CacheKind, InputFetched, Notify, ignore_event
from worker.fetch.credentials import Credentials
from worker.fetch.download import MIB, Download, DownloadLimits, FileVersion
from worker.fetch.guard import Guard
from worker.fetch.policy import Policy
from worker.fetch.store import FileHold, Store
from worker.fetch.target import FetchTarget, read_target
from worker.settings import FetchSettings

MOST_REMEMBERED = 10_000
"""Most URLs whose last content is remembered."""


@dataclass(slots=True)
class SharedDownload:
    """A download in progress, and the number of callers that wait for it."""

    task: asyncio.Task[FileHold]
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class LastFetch:
    """Content and version that a URL had when it was fetched last."""

    sha256: str
    version: FileVersion


NEVER_FETCHED = LastFetch("", FileVersion())


class Fetcher:
    """Fetches URLs into a cache on disk.

    `resolver` and `trust` (a TLS context) default to those of the machine.
    """

    def __init__(
        self,
        settings: FetchSettings,
        folder: Path,
        resolver: AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
        notify: Notify = ignore_event,
    ) -> None:
        """Raises StartupError for settings that cannot be parsed."""
        self._notify = notify
        self.limits = DownloadLimits(settings.max_size * MIB, settings.timeout_s, settings.idle_s)
        self._credentials = Credentials.read(settings.auth.get_secret_value())
        policy = Policy.read(settings.allow, settings.ports)
        self._guard = Guard(policy, resolver, trust, self.limits.idle_s)
        self._store = Store(folder, settings.cache * MIB)
        self._last_fetches: dict[str, LastFetch] = {}
        self._downloads: dict[tuple[str, DownloadLimits], SharedDownload] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._store.open)
        await self._stack.enter_async_context(self._guard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        tasks = [download.task for download in self._downloads.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    async def fetch(self, url: str, sha256: str = "", limits: DownloadLimits | None = None) -> FileHold:
        """Return the file at a URL. It stays in the cache until the returned hold is released.

        With `sha256` no request is sent if a file with that hash is in the cache, and a file with another hash is an
        error. Raises UrlRefused, FetchFailed, InputTooLarge, CacheFull.
        """
        target = read_target(url)
        hold = self._store.hold(sha256) if sha256 else None
        if hold is not None:
            self._notify(CacheHit(CacheKind.INPUTS))
        else:
            hold = await self._share_download(target, limits or self.limits)
        if sha256 and hold.sha256 != sha256:
            hold.release()
            raise FetchFailed(f"{target.host} sent a file whose sha256 differs from the one in the request")
        return hold

    async def _share_download(self, target: FetchTarget, limits: DownloadLimits) -> FileHold:
        """Join a download of the same URL, or start one, and return a hold on its file.

        The download is cancelled when its last caller stops waiting.
        """
        key = str(target.url), limits
        download = self._downloads.get(key)
        if download is None:
            task = asyncio.create_task(self._download_observed(target, limits), name=f"fetch from {target.host}")
            download = self._downloads[key] = SharedDownload(task)
        download.waiters += 1
        try:
            return (await asyncio.shield(download.task)).copy()
        finally:
            download.waiters -= 1
            if not download.waiters:
                del self._downloads[key]
                await _cancel_or_release(download.task)

    async def _download_observed(self, target: FetchTarget, limits: DownloadLimits) -> FileHold:
        """Download a URL, and notify the observers of the result."""
        began = time.monotonic()
        try:
            hold, downloaded = await self._download(target, limits)
        except WorkerError as error:
            self._notify(InputFetched(0, time.monotonic() - began, error.code))
            raise
        event = InputFetched(hold.size, time.monotonic() - began, None)
        self._notify(event if downloaded else CacheHit(CacheKind.INPUTS))
        return hold

    async def _download(self, target: FetchTarget, limits: DownloadLimits) -> tuple[FileHold, bool]:
        """Return the file, and whether it was downloaded. It was not if the cached content is still current."""
        url = str(target.url)
        last = self._last_fetches.get(url, NEVER_FETCHED)
        cached = self._store.hold(last.sha256)
        with self._store.incoming() as partial, cached or nullcontext():
            download = Download(self._guard, self._credentials, target, partial, limits)
            downloaded = await download.run(last.version if cached else FileVersion())
            if cached is not None and not downloaded:
                return cached.copy(), False
            hold = self._store.keep(partial)
        self._remember(url, LastFetch(hold.sha256, download.version))
        return hold, True

    def _remember(self, url: str, fetch: LastFetch) -> None:
        """Remember the last content of a URL, and forget the oldest above the limit."""
        self._last_fetches.pop(url, None)
        self._last_fetches[url] = fetch
        if len(self._last_fetches) > MOST_REMEMBERED:
            del self._last_fetches[next(iter(self._last_fetches))]


async def _cancel_or_release(task: asyncio.Task[FileHold]) -> None:
    """Cancel a download that no caller waits for, or release its file if it has finished."""
    if task.done():
        _release_result(task)
        return
    task.add_done_callback(_release_result)
    task.cancel()
    await asyncio.wait({task})


def _release_result(task: asyncio.Task[FileHold]) -> None:
    """Release the file of a download that has ended, if it succeeded."""
    if not task.cancelled() and task.exception() is None:
        task.result().release()
