"""The gateway as its client sees it: a connection that breaks, and what is no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.conftest import Client
from tests.workflows import picture, slow
from worker.cli.client.worker_client import WorkerClient
from worker.cli.output.failure import Failure


@asynccontextmanager
async def cut_after(url: str, sizes: list[int]) -> AsyncIterator[str]:
    """A way to the gateway on which the first connections break, each after so many bytes of answer."""
    left = iter(sizes)
    address = urlsplit(url)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(address.hostname, address.port)
        asking = asyncio.create_task(copy(reader, to_writer, None))
        await copy(to_reader, writer, next(left, None))
        asking.cancel()
        to_writer.close()

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int | None) -> None:
    with suppress(ConnectionError):
        while size != 0 and (data := await reader.read(64 if size else 65536)):
            writer.write(data)
            await writer.drain()
            size = None if size is None else max(size - len(data), 0)
    writer.close()


@pytest.mark.parametrize("size", [1000, 1400])
async def test_a_broken_connection_is_taken_up_again(client: Client, size: int) -> None:
    """Every event once and in order, though the first two connections break in the middle."""
    async with cut_after(client.app.url, [size, size]) as url, aiohttp.ClientSession() as http:
        events = [name async for name, _ in WorkerClient(http, url).follow({"workflow": slow(0.5, steps=10)})]
    assert events.count("accepted") == events.count("result") == 1
    assert events.count("step") >= 10
    assert events[0] == "accepted"
    assert events[-1] == "result"


async def test_a_connection_that_stays_broken_is_a_failure(client: Client) -> None:
    """Not endless waiting."""
    async with cut_after(client.app.url, [1000, *[0] * 50]) as url, aiohttp.ClientSession() as http:
        with pytest.raises(Failure, match="could not be opened again"):
            async for _ in WorkerClient(http, url).follow({"workflow": slow(30, steps=300)}):
                pass


async def test_an_answer_that_is_not_a_workers_is_a_failure(engine: object, client: Client) -> None:
    """A ComfyUI's URL given for a worker's: said, instead of a puzzle."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Failure, match="it is no worker"):
            async for _ in WorkerClient(http, client.app.engines.first.api.base_url).follow({"workflow": picture()}):
                pass
