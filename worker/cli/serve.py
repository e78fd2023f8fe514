"""`comfy-worker serve`: the worker itself."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from worker.settings import Settings


def command(
    comfyui: Annotated[str | None, typer.Option(help="embedded, a URL, or a ComfyUI folder to start")] = None,
    platform: Annotated[str | None, typer.Option(help="none, vast or vast-local")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 takes a free one")] = None,
    state: Annotated[Path | None, typer.Option(help="folder for everything the worker writes")] = None,
) -> None:
    """Take workflows at POST /generate/sync. Every setting is in `comfy-worker doctor --settings`."""
    settings = Settings.from_env(comfyui=comfyui, platform=platform, host=host, port=port, state=state)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    import uvloop

    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    from worker.app import build

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with build(settings) as app:
        logging.getLogger("worker").info("listening on %s", app.url)
        await stop.wait()
        await app.registry.close(settings.drain_s)
