"""Runs the proxy until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from worker.proxy.app import build
from worker.proxy.config.tables import ProxyConfig


async def serve(config: ProxyConfig, environ: Mapping[str, str]) -> None:
    """Serve until the task is cancelled. Raises StartupError."""
    async with build(config, environ):
        await asyncio.Event().wait()
