"""Connections of a real server: which are closed, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.connections.conftest import Open, Stream, status
from worker.connections import HANDLER_OPTIONS, ConnectionLimits, LimitedSite, mark_authenticated
from worker.supervision import Tasks

POST = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
GET = b"GET /prove HTTP/1.1\r\nHost: x\r\n\r\n"
LONG_S = 1000.0
RELEASE = web.AppKey("release", asyncio.Event)


async def read(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def authenticated_handler(request: web.Request) -> web.Response:
    mark_authenticated(request)
    return web.Response(text="known")


async def held(request: web.Request) -> web.Response:
    mark_authenticated(request)
    await request.app[RELEASE].wait()
    return web.Response(text="known")


@asynccontextmanager
async def server(**limits: float) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Start a server. Yield its port, and the event for which `/held` waits."""
    app = web.Application()
    app[RELEASE] = asyncio.Event()
    app.add_routes([web.post("/read", read), web.get("/prove", authenticated_handler), web.get("/held", held)])
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1, **HANDLER_OPTIONS)
    async with Tasks() as tasks:
        await runner.setup()
        given = ConnectionLimits(**{"header_s": LONG_S, "body_s": LONG_S, **limits})
        await LimitedSite(runner, "127.0.0.1", 0, limits=given, tasks=tasks).start()
        try:
            yield runner.addresses[0][1], app[RELEASE]
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("sent", [b"", b"P", b"GET / HTTP/1.1\r\nX-A: "], ids=["nothing", "a letter", "half"])
async def test_headers_have_a_time_limit(opened: Open, sent: bytes) -> None:
    """A connection without complete headers is closed after the limit."""
    async with server(header_s=0.3) as (port, _):
        stream = await opened(port, sent)
        assert await status(stream) == 0


CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"


@pytest.mark.parametrize("sent", [POST, POST + b"{", CHUNKED], ids=["nothing", "a letter", "chunks"])
async def test_a_body_that_does_not_arrive_is_given_up(opened: Open, sent: bytes) -> None:
    """A connection whose body does not arrive is closed after the limit."""
    async with server(body_s=0.3) as (port, _):
        stream = await opened(port, sent)
        assert await status(stream) == 0


async def test_a_slow_body_that_arrives_is_read(opened: Open) -> None:
    """A body that keeps arriving may take longer than the limit."""
    async with server(body_s=1.0) as (port, _):
        reader, writer = await opened(port, POST)
        for _ in range(20):
            writer.write(b"x" * 5000)
            await writer.drain()
            await asyncio.sleep(0.15)
        assert await status((reader, writer)) == 200


async def test_strangers_make_room_for_a_client(opened: Open) -> None:
    """At the limit the oldest connection without a request is evicted, and a new one gets its response."""
    async with server(max_unauthenticated=8) as (port, _):
        strangers = [await opened(port) for _ in range(6)]
        clients = [await opened(port, GET) for _ in range(20)]
        assert [await status(client) for client in clients] == [200] * 20
        assert await status(strangers[0]) == 0


async def test_clients_that_are_known_do_not_count(opened: Open) -> None:
    """Authenticated connections do not count for the limit."""
    get = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
    async with server(max_unauthenticated=8) as (port, release):
        held = []
        for _ in range(30):
            held.append(await opened(port, get))
            await wait_until_authenticated(held[-1])
        strangers = [await opened(port, POST) for _ in range(20)]
        gone = await asyncio.wait_for(strangers[0][0].read(), 60)
        assert gone == b""
        release.set()
        assert [await status(stream) for stream in held] == [200] * 30


async def wait_until_authenticated(stream: Stream) -> None:
    """Wait until the server has marked the connections as authenticated."""
    await stream[1].drain()
    await asyncio.sleep(0.02)
