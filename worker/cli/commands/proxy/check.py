"""`comfy-worker proxy check`: the problems of a configuration, without starting the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json
from worker.cli.output.json_output import print_json

EXAMPLES = ("comfy-worker proxy check proxy.toml", "comfy-worker proxy check proxy.toml --json")


def command(
    file: Annotated[Path, typer.Argument(help="Configuration file.")] = Path("proxy.toml"),
    *,
    as_json: Json = False,
) -> None:
    """Check a configuration file, and show its backends, routes and callers.

    Connects to no backend, and reads no key.
    """
    from worker.proxy.config.config_file import load_config

    config = load_config(file)
    if as_json:
        print_json(config.model_dump(mode="json"))
        return
    for backend in config.backends:
        typer.echo(f"backend  {backend.name}  {backend.url}")
    for route in config.effective_routes:
        subjects = ", ".join((*route.templates, *route.handlers)) or "all jobs"
        sides = ", ".join(f"{name} {weight:g}" for name, weight in route.backends.items())
        then = f", then {', '.join(route.fallback)}" if route.fallback else ""
        of = f" of {', '.join(route.callers)}" if route.callers else ""
        typer.echo(f"route    {subjects}{of} -> {sides} by {route.sticky}{then}")
    for caller in config.callers:
        typer.echo(f"caller   {caller.name}" + (f", until {caller.expires}" if caller.expires else ""))
    if not config.callers:
        typer.echo("caller   all programs of this machine")
