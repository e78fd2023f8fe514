"""`comfy-worker proxy`: plain HTTP in front of backends, until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.usage import UsageFailure

if TYPE_CHECKING:
    from worker.proxy.config.tables import ProxyConfig

EXAMPLES = (
    "comfy-worker proxy --backend http://127.0.0.1:18288 --port 8080",
    "comfy-worker proxy --backend vast=vast://comfy --backend rp=runpod://ID",
    "comfy-worker proxy --config proxy.toml",
)

log = logging.getLogger("worker")


def command(
    context: typer.Context,
    *,
    backend: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]URL", help="A backend. Repeat the option for several.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, for routes, callers and limits.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. 0 means a free port.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder for the journal and the results.")] = None,
) -> None:
    """Serve plain HTTP in front of several backends.

    A backend is a worker, or an endpoint of a platform. Clients send jobs to one URL, with a key of their own, and need
    not know where a job runs. Accepted jobs survive a restart. Options take precedence over the file. See
    docs/proxy.md.
    """
    if context.invoked_subcommand is not None:
        return
    import uvloop

    from worker.cli.commands.serve import LOG_LINE
    from worker.cli.hosting.signals import ignore_meaningless
    from worker.connections import raise_file_limit
    from worker.proxy.config.config_file import with_options

    ignore_meaningless()
    chosen = with_options(_configuration(backend or [], config), host, port, state)
    logging.basicConfig(level=logging.INFO, format=LOG_LINE)
    raise_file_limit()
    uvloop.run(_serve(chosen))


def _configuration(urls: list[str], file: Path | None) -> ProxyConfig:
    """Return the configuration of the options. Raises ProxyConfigError, and UsageFailure without a backend."""
    from worker.proxy.config.config_file import config_of_urls, load_config

    if bool(urls) == (file is not None):
        problem = "name the backends with --backend or with --config, not with both" if urls else "no backend is named"
        raise UsageFailure(problem, "Run `comfy-worker proxy --backend http://127.0.0.1:18288` for a worker here.")
    return load_config(file) if file is not None else config_of_urls(urls)


async def _serve(config: ProxyConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartupError."""
    from worker.proxy.serve import serve
    from worker.settings import environment

    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await serve(config, environment())
    except asyncio.CancelledError:
        log.info("the proxy has stopped")
