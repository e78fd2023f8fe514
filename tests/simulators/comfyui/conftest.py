"""Fixtures for an embedded engine on a loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.comfyui.client import EngineClient
from worker.simulators.comfyui.server.serve import serve
from worker.simulators.comfyui.settings import EngineSettings

EngineFactory = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> EngineFactory:
    """Return a function that starts an engine with changed settings: `async with start(speed=1.0) as client`."""

    @asynccontextmanager
    async def factory(**changes: Any) -> AsyncIterator[EngineClient]:
        settings = replace(EngineSettings(base=tmp_path / "engine"), **changes)
        async with serve(settings) as engine, EngineClient(engine.url, settings.base) as client:
            yield client

    return factory


@pytest.fixture
async def client(start: EngineFactory) -> AsyncIterator[EngineClient]:
    """A client of an engine with default settings."""
    async with start() as client:
        yield client
