"""`comfy-worker health`: whether the worker on this machine responds. The image's health check."""

from __future__ import annotations

import typer

from worker.cli.options import Json

TIMEOUT_S = 4.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - only compared
"""The address to connect to, by the address that stands for all of a machine's addresses."""

EXAMPLES = ("comfy-worker health", "comfy-worker health --json")


def command(*, as_json: Json = False) -> None:
    """Check that the worker on this machine responds.

    Requests GET /health at the port in WORKER_GATEWAY_PORT, or at that of the platform. Exit code 0: the status is 200.
    Exit code 1: it is not.
    """
    import urllib.error
    import urllib.request

    from worker.cli.output.failure import Failure
    from worker.cli.output.json_output import print_json
    from worker.platforms.registry import choose
    from worker.settings import Settings, environment

    settings = Settings.from_env()
    settings = choose(settings.platform, environment()).platform.gateway(settings, environment())
    url = f"http://{ANY_ADDRESS.get(settings.server.host, settings.server.host)}:{settings.server.port}/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            alive = response.status == 200
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Failure(
            "unreachable",
            f"no response from {url}: {reason}",
            step="Run `comfy-worker serve` to start a worker, or set WORKER_GATEWAY_PORT to the port of a running one.",
        ) from None
    if as_json:
        print_json({"alive": alive, "url": url})
    else:
        typer.echo(f"alive: {url}")
    raise typer.Exit(not alive)
