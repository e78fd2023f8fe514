"""`comfy-worker serve`: the worker itself, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.hosting.signals import ignore_meaningless
from worker.errors import RestartRequested, StartupError, StateInUse, UnknownPlatform
from worker.platforms.base import Platform
from worker.platforms.registry import AUTO, choose, choose_platform
from worker.settings import Settings, environment

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

    SIGTERM or Ctrl-C lets running jobs finish; a second one ends at once. Other signals are ignored.
    """
    ignore_meaningless()
    given: dict[str, Any] = {
        "comfyui": comfyui,
        "platform": platform,
        "host": host,
        "port": port,
        "state": state,
        "fault": fault,
    }
    with failure_reported(platform):
        settings = Settings.from_env(**given, restarts=restarts)
        logging.basicConfig(level=settings.log_level.upper(), format=LOG_LINE)
        try:
            place = choose_platform(settings.platform, environment())
        except UnknownPlatform as error:
            raise typer.BadParameter(str(error)) from None
        if settings.restarts:
            from worker.cli.hosting.parent_process import keep

            raise typer.Exit(
                keep([f"--{name}={value}" for name, value in given.items() if value is not None], settings)
            )
        _run(settings, place)


@contextmanager
def failure_reported(name: str | None, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Report the exception that ends this process to the platform of that name, or to the one that is detected."""
    try:
        yield
    except (typer.Exit, typer.BadParameter, StateInUse):  # the platform would take the worker that runs for broken
        raise
    except Exception as error:
        environ = environ or environment()
        message = str(error) if isinstance(error, StartupError) else f"unexpected {type(error).__name__}: {error}"
        with suppress(UnknownPlatform):
            place = choose(name or environ.get("WORKER_PLATFORM") or AUTO, environ).platform
            place.report_failure(message, environ)
        raise


def _run(settings: Settings, place: Platform) -> None:
    import uvloop

    from worker.cli.hosting.allocator import keep_memory_flat
    from worker.cli.hosting.parent_process import RESTART_CODE
    from worker.connections import raise_file_limit

    keep_memory_flat()
    raise_file_limit()
    try:
        uvloop.run(serve(settings, place))
    except RestartRequested as asked:
        log.info("%s", asked)
        raise typer.Exit(RESTART_CODE) from None


async def serve(settings: Settings, place: Platform) -> None:
    """Serve until a signal comes. A second one ends the draining that the first one began.

    Raises StartupError, RestartRequested.
    """
    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await place.serve(settings, environment())
    except asyncio.CancelledError:
        log.info("stopped")
