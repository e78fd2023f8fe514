"""`comfy-worker run`: one workflow from a file, its outputs into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

NODE_INPUT = "NODE.INPUT=VALUE"


def command(  # noqa: PLR0913 - one parameter an option
    workflow: Annotated[Path, typer.Argument(help="workflow in API format, as the editor saves it, or in a picture")],
    *,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar=NODE_INPUT, help="change an input; NODE is an id or a title"),
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=FILE", help="send a file that the workflow names")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the outputs")] = Path("out"),
    url: Annotated[str | None, typer.Option(help="a running worker; without it one is started for this job")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="WORKER_TOKEN", help="one of the worker's WORKER_TOKENS, where it has any")
    ] = None,
    vast_endpoint: Annotated[str | None, typer.Option(help="a Vast endpoint by name; VAST_API_KEY opens it")] = None,
    vast_url: Annotated[str | None, typer.Option(help="the stand-in that `serve --platform vast-local` prints")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run one workflow, watch it, save what it makes.

    Ctrl-C takes the job out of the engine.
    """
    if url and vast_endpoint:
        raise typer.BadParameter("--url and --vast-endpoint exclude each other")
    from worker.cli.clients import Where
    from worker.cli.follow import Order, carry_out
    from worker.cli.workflow import read_request

    order = Order(read_request(workflow, assignments or (), inputs or ()), workflow.name, out, as_json)
    raise typer.Exit(asyncio.run(carry_out(order, Where(url, token, vast_endpoint, vast_url))))
