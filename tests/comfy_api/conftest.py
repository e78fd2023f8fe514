"""A worker that serves ComfyUI's API to two callers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.comfy_api.client import ComfyClient
from tests.conftest import Client, worker
from tests.engines import EngineHandle

TOKENS = {"ann": "ann-0123456789abcdef", "bob": "bob-0123456789abcdef"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def comfy_worker(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker for all tests of a module."""
    tokens = ",".join(f"{name}={token}" for name, token in TOKENS.items())
    async with worker(engine, tmp_path_factory.mktemp("comfy"), comfy_api=True, tokens=SecretStr(tokens)) as client:
        yield client


@pytest.fixture
def ann(comfy_worker: Client) -> ComfyClient:
    """A new client of the caller `ann`."""
    return ComfyClient(comfy_worker.http, comfy_worker.app.url, TOKENS["ann"])


@pytest.fixture
def bob(comfy_worker: Client) -> ComfyClient:
    """A new client of the caller `bob`."""
    return ComfyClient(comfy_worker.http, comfy_worker.app.url, TOKENS["bob"])


@pytest.fixture
def direct(comfy_worker: Client, engine: EngineHandle) -> ComfyClient:
    """A new client of the engine itself."""
    return ComfyClient(comfy_worker.http, engine.url)
