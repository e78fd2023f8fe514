"""Where the native HTTP API behind the tools comes from: a URL, or a worker that is started for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.cli.client.temporary_worker import temporary_worker
from worker.errors import Failure, StartupError

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_api(url: str | None) -> AsyncIterator[str]:
    """Yield the URL of the API: `url`, or that of a new worker on this machine. Raises StartupError."""
    if url:
        yield url
        return
    async with temporary_worker() as started:
        yield started


class StartingApi:
    """An API that starts in the background, because the host of an agent expects the server to respond at once."""

    def __init__(self) -> None:
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Whether the API has started, or failed to."""
        return self._url.done()

    async def url(self) -> str:
        """Return the URL of the API, as soon as it accepts requests. Raises Failure when it cannot start."""
        return await asyncio.shield(self._url)

    async def hold(self, url: str | None, closing: asyncio.Event) -> None:
        """Keep the API open until `closing` is set. A failure to start is the result of every call of `url`.

        Raises StartupError when a worker that had started fails.
        """
        try:
            async with open_api(url) as started:
                self._url.set_result(started)
                await closing.wait()
        except StartupError as error:
            if self._url.done():
                raise
            log.error("no worker could be started: %s", error)
            self._url.set_exception(Failure("not_started", f"no worker could be started: {error}"))
            self._url.exception()  # asyncio logs a failure that no call reads


@asynccontextmanager
async def start_api(url: str | None) -> AsyncIterator[StartingApi]:
    """Yield the API while it starts, and close it at the end.

    Raises an ExceptionGroup with the exception of the body, or with StartupError when the API fails later.
    """
    api, closing = StartingApi(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        holding = group.create_task(api.hold(url, closing), name="mcp-api")
        try:
            yield api
        finally:
            closing.set()
            if not api.settled:
                holding.cancel()
