"""Where the HTTP API behind the tools comes from: a URL, or a proxy or a worker that is started for them."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.cli.client.temporary_worker import temporary_worker
from worker.errors import Failure, StartupError
from worker.settings import environment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiSource:
    """The API behind the tools: a running one at `url`, a proxy in front of `backends`, or one with a `config` file.

    Without any of them, a worker is started.
    """

    url: str | None = None
    backends: tuple[str, ...] = ()
    config: Path | None = None


@asynccontextmanager
async def open_api(source: ApiSource) -> AsyncIterator[str]:
    """Yield the URL of the API. Raises StartupError."""
    if source.url:
        yield source.url
    elif source.backends or source.config:
        async with _own_proxy(source) as url:
            yield url
    else:
        async with temporary_worker() as started:
            yield started


@asynccontextmanager
async def _own_proxy(source: ApiSource) -> AsyncIterator[str]:
    """Run a proxy on a free port of this machine. Its state is temporary, unless a file has the folder.

    Raises StartupError.
    """
    from worker.proxy.app import build
    from worker.proxy.config.config_file import config_of_urls, load_config, with_options

    with tempfile.TemporaryDirectory(prefix="comfy-worker-") as folder:
        config = load_config(source.config) if source.config else config_of_urls(source.backends)
        state = None if source.config else Path(folder)
        config = with_options(config, host="127.0.0.1", port=0, state=state)
        async with build(config, environment()) as proxy:
            yield proxy.url


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

    async def hold(self, source: ApiSource, closing: asyncio.Event) -> None:
        """Keep the API open until `closing` is set. A failure to start is the result of every call of `url`.

        Raises StartupError when a worker that had started fails.
        """
        try:
            async with open_api(source) as started:
                self._url.set_result(started)
                await closing.wait()
        except StartupError as error:
            if self._url.done():
                raise
            log.error("no worker could be started: %s", error)
            self._url.set_exception(Failure("not_started", f"no worker could be started: {error}"))
            self._url.exception()  # asyncio logs a failure that no call reads


@asynccontextmanager
async def start_api(source: ApiSource) -> AsyncIterator[StartingApi]:
    """Yield the API while it starts, and close it at the end.

    Raises an ExceptionGroup with the exception of the body, or with StartupError when the API fails later.
    """
    api, closing = StartingApi(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        holding = group.create_task(api.hold(source, closing), name="mcp-api")
        try:
            yield api
        finally:
            closing.set()
            if not api.settled:
                holding.cancel()
