"""The client of a worker: lost connections, and servers that are not workers."""

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
    """Yield the URL of a proxy that breaks the first connections, each after this number of response bytes."""
    next_sizes = iter(sizes)
    address = urlsplit(url)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(address.hostname, address.port)
        copying = asyncio.create_task(copy(reader, to_writer, None))
        await copy(to_reader, writer, next(next_sizes, None))
        copying.cancel()
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
async def test_a_lost_connection_is_opened_again(client: Client, size: int) -> None:
    """Every event arrives once and in order after two lost connections."""
    async with cut_after(client.app.url, [size, size]) as url, aiohttp.ClientSession() as http:
        events = [name async for name, _ in WorkerClient(http, url).follow({"workflow": slow(0.5, steps=10)})]
    assert events.count("accepted") == events.count("result") == 1
    assert events.count("step") >= 10
    assert events[0] == "accepted"
    assert events[-1] == "result"


async def test_a_connection_that_stays_lost_is_a_failure(client: Client) -> None:
    """The client raises Failure when the connection cannot be opened again."""
    async with cut_after(client.app.url, [1000, *[0] * 50]) as url, aiohttp.ClientSession() as http:
        with pytest.raises(Failure, match="could not be opened again"):
            async for _ in WorkerClient(http, url).follow({"workflow": slow(30, steps=300)}):
                pass


async def test_the_url_of_a_comfyui_is_a_failure(engine: object, client: Client) -> None:
    """The client raises Failure for the URL of a ComfyUI, and names the mistake."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Failure, match="it is no worker"):
            async for _ in WorkerClient(http, client.app.engines.first.api.base_url).follow({"workflow": picture()}):
                pass
