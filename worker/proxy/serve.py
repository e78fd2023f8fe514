"""Runs the proxy until it is cancelled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping

from worker.proxy.app import build
from worker.proxy.config.tables import ProxyConfig


async def serve(config: ProxyConfig, environ: Mapping[str, str]) -> None:
    """Serve until the task is cancelled, and then until synchronous jobs have ended. Raises StartupError."""
    async with build(config, environ) as proxy:
        gc.collect(generation=1)
        gc.freeze()  # what the start has loaded is never freed, so collections can skip it
        try:
            await asyncio.Event().wait()
        finally:
            await proxy.jobs.drain(config.server.drain_s)
