"""`comfy-worker health`: whether the worker on this machine answers; the image's health check."""

from __future__ import annotations

import typer

TIMEOUT_S = 4.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what is listened on, and where it is found


def command() -> None:
    """Ask the worker on this machine whether it works or recovers.

    Its port is WORKER_GATEWAY_PORT's. Exit code 0 where `GET /health` answers 200, else 1.
    """
    import urllib.error
    import urllib.request

    from worker.settings import Settings

    settings = Settings.from_env()
    url = f"http://{ANYWHERE.get(settings.server.host, settings.server.host)}:{settings.server.port}/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            typer.echo(f"alive: {url}")
            raise typer.Exit(answer.status != 200)
    except (urllib.error.URLError, OSError) as error:
        typer.echo(f"no answer from {url}: {getattr(error, 'reason', error)}", err=True)
        raise typer.Exit(1) from None
