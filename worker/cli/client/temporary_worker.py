"""A worker that a command starts for itself, because no other was named."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from worker.settings import Settings

START_LIMITS_S = {"embedded": 30.0, "http": 10.0}
"""Longest wait for an engine, by the beginning of `WORKER_COMFYUI`. A folder has the time of WORKER_ENGINE_START."""


@asynccontextmanager
async def temporary_worker() -> AsyncIterator[str]:
    """Yield the URL of a new worker. Its state is in a temporary folder. Raises StartupError when it cannot start."""
    from worker.app import build

    with tempfile.TemporaryDirectory(prefix="comfy-worker-") as folder:
        settings = Settings.from_env(host="127.0.0.1", port=0, platform="none", state=Path(folder), public_url="")
        # Nobody else uses this worker: the command fails soon if the engine does not start.
        limits = [limit for start, limit in START_LIMITS_S.items() if settings.engine.comfyui.startswith(start)]
        settings = settings.replaced(engine_start_s=min([settings.engine.start_s, *limits]))
        async with build(settings) as app:
            await app.ready()
            yield app.url
