"""The platform `none`: clients reach the worker directly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from worker.errors import StartupError
from worker.platforms.base import Platform
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.app import App

log = logging.getLogger("worker")


class Direct(Platform):
    """A worker on the operator's own machine or in a container on any host."""

    name = "none"

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Serve until cancelled, then drain. Requests are accepted before the engine is ready."""
        from worker.app import build

        async with build(settings, traits=self.traits) as app, app.draining():
            log.info("listening on %s", app.url)
            app.tasks.start("announcement", partial(_announce, app))
            await asyncio.get_running_loop().create_future()  # never done, so this waits until it is cancelled


async def _announce(app: App) -> None:
    """Log once that the worker is ready, or why it is not."""
    try:
        await app.ready()
        log.info("ready %s", app.timing)
        await app.exclude_from_gc()
    except StartupError as error:
        log.error("not ready yet: %s", error)
