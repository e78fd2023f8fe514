"""`comfy-worker serve`: the worker itself, until it is told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.errors import RestartAsked, StartupError
from worker.platforms.choice import AUTO, PLATFORMS, choose, placed
from worker.settings import Settings, environment

if TYPE_CHECKING:
    from worker.app import App

LOG_LINE = "%(asctime)s %(levelname)-7s %(name)s %(message)s"

log = logging.getLogger("worker")


def command(  # noqa: PLR0913 - one parameter an option
    *,
    comfyui: Annotated[str | None, typer.Option(help="embedded, a URL, or a ComfyUI folder to start")] = None,
    platform: Annotated[str | None, typer.Option(help="none, vast, vast-local or auto")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 takes a free one")] = None,
    state: Annotated[Path | None, typer.Option(help="folder for everything the worker writes")] = None,
    restarts: Annotated[
        int | None, typer.Option(help="start the worker again when it dies, so often in a row; 0: not at all")
    ] = None,
    fault: Annotated[str | None, typer.Option(help="what goes wrong in the embedded engine, to rehearse")] = None,
) -> None:
    """Take workflows at POST /generate/sync, until told to stop.

    SIGTERM or Ctrl-C lets running jobs finish; a second one ends at once.
    """
    given: dict[str, Any] = {
        "comfyui": comfyui,
        "platform": platform,
        "host": host,
        "port": port,
        "state": state,
        "fault": fault,
    }
    with fatal_errors_told(platform):
        settings = Settings.from_env(**given, restarts=restarts)
        if settings.platform not in PLATFORMS:
            raise typer.BadParameter(f"the platform is one of {', '.join(PLATFORMS)}, not {settings.platform!r}")
        logging.basicConfig(level=settings.log_level.upper(), format=LOG_LINE)
        settings = placed(settings, environment())
        if settings.restarts:
            from worker.cli.hosting.parent_process import keep

            raise typer.Exit(
                keep([f"--{name}={value}" for name, value in given.items() if value is not None], settings)
            )
        _run(settings)


@contextmanager
def fatal_errors_told(platform: str | None, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """What ends this process by itself is told to Vast's autoscaler in its own words, where Vast is the platform."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as error:
        environ = environ or environment()
        if choose(platform or environ.get("WORKER_PLATFORM") or AUTO, environ).name == "vast":
            from worker.platforms.vast.reporting.failure_report import complain

            words = str(error) if isinstance(error, StartupError) else f"unexpected {type(error).__name__}: {error}"
            log.critical("not serving: %s", words)
            complain(environ, words)
        raise


def _run(settings: Settings) -> None:
    import uvloop

    from worker.cli.hosting.allocator import keep_memory_flat
    from worker.cli.hosting.parent_process import RESTART_CODE

    keep_memory_flat()
    try:
        uvloop.run(serve(settings))
    except RestartAsked as asked:
        log.info("%s", asked)
        raise typer.Exit(RESTART_CODE) from None


async def serve(settings: Settings) -> None:
    """A second signal ends the draining that the first one began. Raises StartupError, RestartAsked."""
    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        if settings.platform == "vast-local":
            from worker.cli.hosting.vast_local import serve as serve_locally

            await serve_locally(settings)
        else:
            await _serve(settings)
    except asyncio.CancelledError:
        log.info("stopped")


async def _serve(settings: Settings) -> None:
    if settings.platform == "vast":
        await _behind_vast(settings)
        return
    from worker.app import build

    async with build(settings) as app:
        log.info("listening on %s", app.url)
        app.tasks.start("announcement", partial(_announce, app))
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if app.tasks.failure is None:
                log.info("draining for at most %g s", settings.drain_s)
                await app.manager.close(settings.drain_s)
            raise


async def _announce(app: App) -> None:
    """Say once that jobs would run now; who waits for more than that keeps looking by himself."""
    try:
        await app.ready()
        log.info("ready %s", app.timing)
    except StartupError as error:
        log.error("not ready yet: %s", error)


async def _behind_vast(settings: Settings) -> None:
    from worker.app import build
    from worker.platforms.vast import VastSettings, serve

    vast = VastSettings.from_env(environment())
    async with build(dataclasses.replace(settings, public_url=settings.public_url or vast.public_url)) as app:
        log.info("listening on %s", app.url)
        await serve(app, vast)
