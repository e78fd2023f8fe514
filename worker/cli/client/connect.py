"""Who runs the job of `comfy-worker run`: a worker started for it, one that is there already, or one of Vast's."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from worker.cli.client.worker_client import PATIENCE, WorkerClient
from worker.cli.client.workflow_file import prompt_in
from worker.cli.output.failure import Failure
from worker.errors import CannotConvert, PromptError
from worker.load.workload import FLOOR, workload
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.platforms.vast.client import VastEndpoint

START_S = {"embedded": 30.0, "http": 10.0}
"""How long a person is left waiting for an engine, by how `WORKER_COMFYUI` begins; a folder gets the setting's time."""


class RunClient(Protocol):
    """Follows one job. Every method raises Failure."""

    def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Name and data of each event of `POST /generate/stream`."""
        ...

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """`cancelled` is false where it had ended already, `stopping` true while a node of it goes on."""
        ...

    async def download(self, url: str, target: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Where:
    """Nothing given: here, in this process. `vast_url` is a stand-in of Vast's."""

    url: str | None = None
    token: str | None = None
    vast_endpoint: str | None = None
    vast_url: str | None = None

    @property
    def starts_worker(self) -> bool:
        return not (self.url or self.vast_endpoint)


@asynccontextmanager
async def connect(where: Where) -> AsyncIterator[RunClient]:
    """Ready for a job. Raises StartupError."""
    async with AsyncExitStack() as stack:
        if where.vast_endpoint:
            from worker.platforms.vast.client import open_endpoint

            yield VastClient(await stack.enter_async_context(open_endpoint(where.vast_endpoint, where.vast_url)))
            return
        url = where.url if where.url else await stack.enter_async_context(_worker())
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=PATIENCE))
        yield WorkerClient(session, url, where.token)


@asynccontextmanager
async def _worker() -> AsyncIterator[str]:
    """A worker of our own for as long as this lasts; everything it writes goes to a folder that is removed."""
    from worker.app import build

    with tempfile.TemporaryDirectory(prefix="comfy-worker-") as folder:
        settings = Settings.from_env(host="127.0.0.1", port=0, platform="none", state=Path(folder), public_url="")
        limits = [limit for start, limit in START_S.items() if settings.engine.comfyui.startswith(start)]
        settings = settings.replaced(engine_start_s=min([settings.engine.start_s, *limits]))
        async with build(settings) as app:
            await app.ready()
            yield app.url


class VastClient:
    """Outputs come inline: no URL of a worker behind Vast's router can be opened from outside."""

    def __init__(self, endpoint: VastEndpoint) -> None:
        self._endpoint = endpoint

    async def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        try:
            cost = workload(prompt_in(request["workflow"]))
        except (PromptError, CannotConvert):
            cost = FLOOR
        try:
            async for event in self._endpoint.stream({**request, "output_format": "base64"}, cost):
                yield event
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            raise Failure("unreachable", f"Vast did not carry the request: {error}", retryable=True) from error

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await self._endpoint.cancel(job)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure("unreachable", f"the worker did not answer: {error}") from error

    async def download(self, url: str, target: Path) -> None:
        raise Failure("bad_answer", f"the worker sent the URL {url} instead of an output")
