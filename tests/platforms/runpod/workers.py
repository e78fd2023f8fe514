"""A worker of a queue-based endpoint, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.engines import EngineHandle
from tests.platforms.runpod.gateway import Gateway
from worker.errors import StartupError
from worker.platforms.registry import AUTO, choose
from worker.settings import Settings


def settings_for(engine: EngineHandle, state: Path, **more: Any) -> Settings:
    """Return the settings of a worker on a running engine."""
    shared = {"comfyui_output": engine.output, "comfyui_input": engine.input}
    return Settings.of(comfyui=engine.url, port=0, state=state, **shared, **more)


@asynccontextmanager
async def queue_worker(gateway: Gateway, settings: Settings, **environ: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker that its environment selects, and stop it as SIGTERM would."""
    variables = gateway.environ(**environ)
    serving = asyncio.create_task(choose(AUTO, variables).platform.serve(settings, variables))
    try:
        yield serving
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError, StartupError):
            await serving
