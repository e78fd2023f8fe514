"""Standard input and output as a protocol."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
import termios
from pathlib import Path

import pytest

from tests.conftest import Client as Worker
from tests.mcp_server.hosts import HELLO, NONSENSE, StdioProcess, stdio_process, until

FULL_PIPE = 50_000
"""Bytes in a pipe into which a process can hardly write more."""

LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}


async def answer(server: StdioProcess, number: int) -> dict:
    """Return the response with this id. Every line before it has to be a message, too."""
    while True:
        line = await server.line()
        assert line, "the server closed its output"
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if message.get("id") == number:
            return message


async def test_nonsense_does_not_end_the_server(client: Worker) -> None:
    """After lines that are no messages, the server still answers, and its output has only messages."""
    async with stdio_process("--url", client.app.url) as server:
        await server.send(*(piece if isinstance(piece, bytes) else piece.encode() for piece in NONSENSE))
        await server.send(json.dumps(HELLO))
        assert (await answer(server, 1))["result"]["serverInfo"]["name"] == "comfy-worker"
        await server.send("\0", "x" * 300_000, json.dumps({**LIST, "params": 5}), json.dumps(LIST))
        assert len((await answer(server, 7))["result"]["tools"]) == 5


async def test_output_has_only_messages(tmp_path: Path) -> None:
    """A worker and an engine that start with the server print nothing to standard output."""
    async with stdio_process(WORKER_LOG_LEVEL="debug", TMPDIR=str(tmp_path)) as server:
        await server.send(json.dumps(HELLO))
        await answer(server, 1)
        call = {"name": "generate", "arguments": {"template": "smoke-resize"}, "_meta": {"progressToken": 1}}
        await server.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))
        assert (await answer(server, 2))["result"]["structuredContent"]["state"] == "completed"
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert await server.line() == b""
        assert await asyncio.wait_for(server.process.wait(), 30) == 0


@pytest.mark.parametrize("megabytes", [5, 30])
async def test_large_messages(client: Worker, megabytes: int) -> None:
    """A message with a file of many megabytes arrives whole."""
    image = {"template": "resize", "params": {"image": "data:image/png;base64," + "A" * megabytes * 1024**2}}
    call = {"name": "generate", "arguments": image}
    async with stdio_process("--url", client.app.url) as server:
        await server.send(json.dumps(HELLO))
        await answer(server, 1)
        await server.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))
        result = (await answer(server, 2))["result"]
    assert result["isError"]
    assert result["content"][0]["text"].startswith("invalid_input_file:")


async def test_a_host_that_reads_nothing_is_left(client: Worker) -> None:
    """SIGTERM ends the process although the host does not read the responses."""
    async with stdio_process("--url", client.app.url) as server:
        await server.send(json.dumps(HELLO))
        await answer(server, 1)
        output = server.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        output.pause_reading()
        for number in range(200):
            await server.send(json.dumps({**LIST, "id": number + 10}))
        entry = Path(f"/proc/{server.process.pid}")

        async def has_ended() -> bool:
            return not entry.exists()

        async def is_full() -> bool:
            waiting = bytearray(4)
            fcntl.ioctl(output.get_extra_info("pipe").fileno(), termios.FIONREAD, waiting)
            return int.from_bytes(waiting, sys.byteorder) >= FULL_PIPE

        try:
            await until(is_full)
            server.process.terminate()
            await until(has_ended)
        finally:
            output.resume_reading()


async def test_a_host_that_is_gone_is_no_error(client: Worker) -> None:
    """When the host closes both ends, the process exits."""
    async with stdio_process("--url", client.app.url) as server:
        await server.send(json.dumps(HELLO))
        await answer(server, 1)
        transport = server.process._transport  # type: ignore[attr-defined]
        transport.get_pipe_transport(1).close()
        await server.send(json.dumps(LIST))
        transport.get_pipe_transport(0).close()
        assert await asyncio.wait_for(server.process.wait(), 60) in {0, 1}
