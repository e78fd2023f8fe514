"""Hosts of agents, as the SDK's own client, over each transport."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from tests.cli.terminal import ROOT, environment
from worker.mcp_server.api_source import ApiSource, start_api
from worker.mcp_server.server import ToolServer, http_session

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdef00"
TOKENS = f"alice={ALICE},bob={BOB}"
MODES = ("auto", "legacy")
"""How the SDK's client negotiates: the newest protocol, and the one with a handshake and sessions."""

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
"""The request that opens a connection of the older protocol."""

NONSENSE = ("", "{", "[]", "null", '"x"', "[" * 5000, '{"jsonrpc":"2.0"}', b"\xff\xfe", "1" * 9999)
"""Bodies and lines that are no messages."""


def text(result: CallToolResult) -> str:
    """Return the first block of a result, which is a text."""
    return str(getattr(result.content[0], "text", ""))


def structured(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result that is no error."""
    assert not result.is_error, text(result)
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def kinds(result: CallToolResult) -> list[str]:
    """Return the types of the blocks of a result."""
    return [block.type for block in result.content]


@asynccontextmanager
async def direct_host(url: str, token: str | None = None, **given: Any) -> AsyncIterator[Client]:
    """Connect a client to a server in this process, whose API is at `url`."""
    async with (
        start_api(ApiSource(url)) as api,
        http_session() as http,
        Client(ToolServer(api, http, token, **given).sdk_server()) as client,
    ):
        yield client


def stdio_command(*arguments: object, **env: str) -> StdioServerParameters:
    """Return the command that a host starts, with the settings in `env`."""
    words = ["-m", "worker", "mcp", *map(str, arguments)]
    return StdioServerParameters(command=sys.executable, args=words, env=environment(**env), cwd=ROOT)


@asynccontextmanager
async def http_server(*arguments: object, **env: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run `comfy-worker mcp --http` in a process. Yield its URL and the process."""
    words = ["-m", "worker", "mcp", "--http", "--port", "0", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environment(**env), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b"MCP server at" not in (line := await process.stderr.readline()):
                assert line, "the server did not start"
        yield line.decode().split()[-1], process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@asynccontextmanager
async def http_host(url: str, token: str | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    """Connect a client over streamable HTTP, with a bearer token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@dataclass
class StdioProcess:
    """The server as a plain process, for tests of what is not valid MCP."""

    process: asyncio.subprocess.Process

    async def send(self, *lines: str | bytes) -> None:
        assert self.process.stdin is not None
        for line in lines:
            self.process.stdin.write((line.encode() if isinstance(line, str) else line) + b"\n")
        await self.process.stdin.drain()

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        return await asyncio.wait_for(self.process.stdout.readline(), 60)


@asynccontextmanager
async def stdio_process(*arguments: object, **env: str) -> AsyncIterator[StdioProcess]:
    """Run `comfy-worker mcp` with pipes, and kill it at the end if it still runs."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "mcp", *map(str, arguments)),
        **{"stdin": pipe, "stdout": pipe, "stderr": asyncio.subprocess.DEVNULL, "limit": 2**26},
        env=environment(**env),
        cwd=ROOT,
    )
    try:
        yield StdioProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(condition: Any, limit_s: float = 60) -> None:
    """Wait until an asynchronous condition is true."""
    async with asyncio.timeout(limit_s):
        while not await condition():
            await asyncio.sleep(0.05)


def processes_of(folder: Path) -> list[int]:
    """Return the ids of the processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
