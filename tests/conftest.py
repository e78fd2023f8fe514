"""One embedded engine as a real process for the whole run, and a worker of its own for each test."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.engines import EngineHandle, start_engine
from worker.app import App, build
from worker.platforms.base import REACHED_DIRECTLY, Traits
from worker.settings import Settings

# A shell starts what runs in the background with Ctrl-C ignored, and processes hand that on: some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHandle]:
    """An embedded engine that every test may use and none may harm."""
    with start_engine(tmp_path_factory.mktemp("engine")) as handle:
        yield handle


@dataclass(frozen=True)
class Client:
    """A worker and a session to talk to it."""

    app: App
    http: aiohttp.ClientSession

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, dict]:
        async with self.http.post(self.app.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.get(self.app.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def delete(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.delete(self.app.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def state(self, job: dict, state: str) -> None:
        """Wait until an accepted job is in a state, hearing its events."""
        url = f"{self.app.url}/jobs/{job['id']}/events"
        async with asyncio.timeout(10), self.http.get(url, headers=bearer(job["token"])) as stream:
            async for line in stream.content:
                if line.startswith(b"data: ") and f'"state":"{state}"'.encode() in line:
                    return
        raise AssertionError(f"the job ended without being {state}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def worker(
    handle: EngineHandle, state: Path, traits: Traits = REACHED_DIRECTLY, **given: object
) -> AsyncIterator[Client]:
    """A worker on that engine, connected, with a platform's traits and settings of the test's own."""
    shared = {"comfyui_output": handle.output, "comfyui_input": handle.input}
    settings = Settings(**{"comfyui": handle.url, "port": 0, "state": state, **shared, **given})  # type: ignore[arg-type]
    async with build(settings, traits=traits) as app, aiohttp.ClientSession() as http:
        await app.ready()
        yield Client(app, http)


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Client]:
    """A worker with the engine's folders shared."""
    async with worker(engine, tmp_path) as found:
        yield found
