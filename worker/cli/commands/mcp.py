"""`comfy-worker mcp`: tools for AI agents, over the Model Context Protocol."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "comfy-worker mcp --url http://127.0.0.1:18288",
    "comfy-worker mcp --out pictures --files photos",
    "comfy-worker mcp --backend vast://comfy --backend rp=runpod://ID",
    "comfy-worker mcp --url http://10.0.0.5:18288 --http --port 8091",
)

Backends = Annotated[
    list[str] | None,
    typer.Option(metavar="[NAME=]URL", help="A backend, as for `comfy-worker proxy`. Repeat it for several."),
]
Config = Annotated[Path | None, typer.Option(help="Configuration file of a proxy, with its callers and limits.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Name by which clients reach this server, with --http. Repeatable."),
]


def command(  # noqa: PLR0913 - one parameter an option
    *,
    url: Annotated[
        str | None, typer.Option(help="URL of a running worker. Without it a worker is started for the agent.")
    ] = None,
    backend: Backends = None,
    config: Config = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token for the worker. Without it the token is in WORKER_TOKEN.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder in which outputs are saved too. Only without --http.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Folder whose files the agent can send as file:NAME. Only without --http.")
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Serve streamable HTTP instead of standard input.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, with --http. 0 means a free port.")] = 8091,
    allowed_host: AllowedHosts = None,
) -> None:
    """Give AI agents tools that list templates and run jobs.

    Speaks the Model Context Protocol (MCP) on standard input and output, or with --http at http://HOST:PORT/mcp, where
    each caller sends its own token of the worker. With --backend or --config, jobs go to any backends.
    """
    from worker.mcp_server.api_source import ApiSource
    from worker.mcp_server.hosting import McpOptions, serve

    if http and (token_file or out or files):
        raise typer.BadParameter("--token-file, --out and --files are for one user on this machine, not for --http")
    if (url is not None) + bool(backend) + (config is not None) > 1:
        raise typer.BadParameter("--url, --backend and --config name the API in different ways: keep one of them")
    source = ApiSource(url, tuple(backend or ()), config)
    asyncio.run(serve(McpOptions(source, _token(token_file), out, files, http, host, port, tuple(allowed_host or ()))))


def _token(file: Path | None) -> str | None:
    """Return the token in the file, or else in WORKER_TOKEN. Raises typer.BadParameter."""
    from worker.settings import environment

    if file is None:
        return environment().get("WORKER_TOKEN") or None
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"--token-file {file}: {getattr(error, 'strerror', None) or error}") from error
    if not token or len(token.split()) != 1:
        raise typer.BadParameter(f"--token-file {file}: the file has to contain one token and nothing else")
    return token
