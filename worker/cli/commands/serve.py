"""`comfy-worker serve`: the worker itself, until a signal stops it."""

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
from worker.errors import RestartRequested, StartupError, StateInUse, UnclearPlatform, UnknownPlatform
from worker.platforms.base import Platform
from worker.platforms.registry import AUTO, choose, choose_platform
from worker.settings import Settings, environment
from worker.settings.compatibility.contradictions import contradictions

LOG_LINE = "%(asctime)s %(levelname)-7s %(name)s %(message)s"

EXAMPLES = (
    "comfy-worker serve",
    "comfy-worker serve --comfyui /opt/ComfyUI --port 18288 --restarts 5",
    "comfy-worker serve --platform vast-local",
    "comfy-worker serve --fault 'oom@KSampler;times=2'",
)

log = logging.getLogger("worker")


def command(  # noqa: PLR0913 - one parameter an option
    *,
    comfyui: Annotated[str | None, typer.Option(help="`embedded`, a URL, or a ComfyUI folder to start.")] = None,
    platform: Annotated[str | None, typer.Option(help="none, vast, vast-local, modal, runpod or auto.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. 0 means a free port.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder for everything that the worker writes.")] = None,
    restarts: Annotated[
        int | None, typer.Option(help="Limit of restarts in a row when the worker dies. 0 means none.")
    ] = None,
    fault: Annotated[str | None, typer.Option(help="Fault that the embedded engine injects, for tests.")] = None,
) -> None:
    """Start a worker that accepts workflows over HTTP.

    The first SIGTERM or Ctrl-C stops accepting jobs and lets the running ones finish. The second one stops at once.
    Options take precedence over environment variables.
    """
    ignore_meaningless()
    options: dict[str, Any] = {
        "comfyui": comfyui,
        "platform": platform,
        "host": host,
        "port": port,
        "state": state,
        "fault": fault,
    }
    with failure_reported(platform):
        settings = Settings.from_env(**options, restarts=restarts)
        logging.basicConfig(level=settings.log_level.upper(), format=LOG_LINE)
        try:
            platform_here = choose_platform(settings.platform, environment())
        except UnknownPlatform as error:
            raise typer.BadParameter(str(error)) from None
        if settings.restarts:
            from worker.cli.hosting.parent_process import run_with_restarts

            arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
            raise typer.Exit(run_with_restarts(arguments, settings))
        _run(settings, platform_here)


@contextmanager
def failure_reported(name: str | None, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Report an exception that ends this process to the platform with this name, or else to the detected one."""
    try:
        yield
    except (typer.Exit, typer.BadParameter, StateInUse):
        # Not reported. For StateInUse, the platform would mark the other, running worker as broken.
        raise
    except Exception as error:
        environ = environ or environment()
        message = str(error) if isinstance(error, StartupError) else f"unexpected {type(error).__name__}: {error}"
        with suppress(UnknownPlatform, UnclearPlatform):
            platform = choose(name or environ.get("WORKER_PLATFORM") or AUTO, environ).platform
            platform.report_failure(message, environ)
        raise


def _run(settings: Settings, platform: Platform) -> None:
    """Serve in this process. Exit with RESTART_CODE when the worker wants to be started again."""
    import uvloop

    from worker.cli.hosting.allocator import keep_memory_flat
    from worker.cli.hosting.parent_process import RESTART_CODE
    from worker.connections import raise_file_limit

    for sentence in contradictions(environment(), Settings.fields_by_name()):
        log.warning("%s", sentence)
    keep_memory_flat()
    raise_file_limit()
    try:
        uvloop.run(serve(settings, platform))
    except RestartRequested as error:
        log.info("%s", error)
        raise typer.Exit(RESTART_CODE) from None


async def serve(settings: Settings, platform: Platform) -> None:
    """Serve until SIGTERM or SIGINT, then let running jobs finish. A second signal stops at once.

    Raises StartupError when the worker cannot start, and RestartRequested when its platform wants a new process.
    """
    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await platform.serve(settings, environment())
    except asyncio.CancelledError:
        log.info("the worker has stopped")
