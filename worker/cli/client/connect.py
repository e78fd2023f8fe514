"""The worker that runs the job of `comfy-worker run`: a new one, a running one, or one of a Vast endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from worker.cli.client.temporary_worker import temporary_worker
from worker.cli.client.worker_client import CLIENT_TIMEOUT, WorkerClient
from worker.errors import Failure

if TYPE_CHECKING:
    from worker.platforms.vast.client import VastEndpoint


class RunClient(Protocol):
    """The connection over which one job runs. Every method raises Failure."""

    def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield the name and the data of each event of `POST /generate/stream`."""
        ...

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cancel the job whose `accepted` event had this data, and return the worker's response.

        `cancelled` is false if the job had ended already. `stopping` is true while one of its nodes still runs.
        """
        ...

    async def download(self, url: str, target: Path) -> None:
        """Write the file at a URL of the result to `target`."""
        ...


@dataclass(frozen=True, slots=True)
class RunTarget:
    """The worker to use. Without a URL or an endpoint, one is started for the job.

    `vast_url` is the address of a local copy of Vast's router, in place of Vast's.
    """

    url: str | None = None
    token: str | None = None
    vast_endpoint: str | None = None
    vast_url: str | None = None

    @property
    def starts_worker(self) -> bool:
        """Whether a worker is started for the job."""
        return not (self.url or self.vast_endpoint)


@asynccontextmanager
async def connect(target: RunTarget) -> AsyncIterator[RunClient]:
    """Yield a client of the target, once it can accept a job. Raises StartupError when no worker can be started."""
    async with AsyncExitStack() as stack:
        if target.vast_endpoint:
            from worker.platforms.vast.client import open_endpoint

            yield VastClient(await stack.enter_async_context(open_endpoint(target.vast_endpoint, target.vast_url)))
            return
        url = target.url if target.url else await stack.enter_async_context(temporary_worker())
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=CLIENT_TIMEOUT))
        yield WorkerClient(session, url, target.token)


class VastClient:
    """The client of a worker behind a Vast endpoint.

    Outputs come inline, because a URL of such a worker cannot be opened from outside.
    """

    def __init__(self, endpoint: VastEndpoint) -> None:
        self._endpoint = endpoint

    async def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield the name and the data of each event. Raises Failure when Vast does not deliver the request."""
        from worker.intake.request_cost import cost_of

        cost = await asyncio.to_thread(cost_of, request)
        try:
            async for event in self._endpoint.stream({**request, "output_format": "base64"}, cost):
                yield event
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            raise Failure("unreachable", f"Vast did not deliver the request: {error}", retryable=True) from error

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cancel the job at its worker and return the worker's response. Raises Failure when it does not respond."""
        try:
            return await self._endpoint.cancel(job)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure("unreachable", f"the worker did not respond: {error}") from error

    async def download(self, url: str, target: Path) -> None:
        """Raise Failure, as the URL of an output cannot be opened from outside. `follow` requests inline outputs."""
        raise Failure("bad_answer", f"the worker sent the URL {url} instead of an output")
