"""Fetching a URL: asked for at the same time it is fetched once, asked for again only if it has changed."""

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
from worker.fetch.store import Held, Store
from worker.fetch.target import FetchTarget, read_target
from worker.settings import FetchSettings

MOST_KNOWN = 10_000
"""URLs whose content is remembered."""


@dataclass(slots=True)
class Flight:
    """A download that is under way, and how many wait for it."""

    task: asyncio.Task[Held]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What a URL stood for the last time."""

    sha256: str
    version: FileVersion


NOTHING = Known("", FileVersion())


class Fetcher:
    """The story of a fetch; `resolver` and `trust` (in certificates) are the machine's own where not given."""

    def __init__(
        self,
        settings: FetchSettings,
        folder: Path,
        resolver: AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
        notify: Notify = ignore_event,
    ) -> None:
        """Raises StartupError for settings that can't be read."""
        self._notify = notify
        self.limits = DownloadLimits(settings.max_size * MIB, settings.timeout_s, settings.idle_s)
        self._credentials = Credentials.read(settings.auth.get_secret_value())
        policy = Policy.read(settings.allow, settings.ports)
        self._guard = Guard(policy, resolver, trust, self.limits.idle_s)
        self._store = Store(folder, settings.cache * MIB)
        self._known: dict[str, Known] = {}
        self._flights: dict[tuple[str, DownloadLimits], Flight] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._store.open)
        await self._stack.enter_async_context(self._guard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    async def fetch(self, url: str, sha256: str = "", limits: DownloadLimits | None = None) -> Held:
        """The file behind a URL. With a `sha256` a file that is here already is not asked for, and no other is taken.

        Held until released. Raises UrlRefused, FetchFailed, InputTooLarge, CacheFull.
        """
        target = read_target(url)
        held = self._store.hold(sha256) if sha256 else None
        if held is not None:
            self._notify(CacheHit(CacheKind.INPUTS))
        else:
            held = await self._together(target, limits or self.limits)
        if sha256 and held.sha256 != sha256:
            held.release()
            raise FetchFailed(f"{target.host} sent another file than the one with the given sha256")
        return held

    async def _together(self, target: FetchTarget, limits: DownloadLimits) -> Held:
        """Join the download of the same file, or start one. It ends with the last who waits for it."""
        key = str(target.url), limits
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.create_task(self._bring_observed(target, limits), name=f"fetch from {target.host}")
            flight = self._flights[key] = Flight(task)
        flight.waiting += 1
        try:
            return (await asyncio.shield(flight.task)).again()
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                del self._flights[key]
                await _land(flight.task)

    async def _bring_observed(self, target: FetchTarget, limits: DownloadLimits) -> Held:
        began = time.monotonic()
        try:
            held, changed = await self._bring(target, limits)
        except WorkerError as error:
            self._notify(InputFetched(0, time.monotonic() - began, error.code))
            raise
        taken = InputFetched(held.size, time.monotonic() - began, None)
        self._notify(taken if changed else CacheHit(CacheKind.INPUTS))
        return held

    async def _bring(self, target: FetchTarget, limits: DownloadLimits) -> tuple[Held, bool]:
        """The file, and whether it had to be downloaded."""
        url = str(target.url)
        known = self._known.get(url, NOTHING)
        before = self._store.hold(known.sha256)
        with self._store.incoming() as partial, before or nullcontext():
            download = Download(self._guard, self._credentials, target, partial, limits)
            changed = await download.run(known.version if before else FileVersion())
            if before is not None and not changed:
                return before.again(), False
            held = self._store.keep(partial)
        self._remember(url, Known(held.sha256, download.version))
        return held, True

    def _remember(self, url: str, known: Known) -> None:
        self._known.pop(url, None)
        self._known[url] = known
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]


async def _land(task: asyncio.Task[Held]) -> None:
    """Nobody waits any more: stop what still runs, let go of what has come."""
    if task.done():
        _let_go(task)
        return
    task.add_done_callback(_let_go)
    task.cancel()
    await asyncio.wait({task})


def _let_go(task: asyncio.Task[Held]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().release()
