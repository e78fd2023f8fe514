"""The comments that keep a stream of events open."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from worker.api.sse import kept_alive


async def test_comments_never_fall_into_an_event() -> None:
    """An event that takes several intervals to write is whole. The comments come before and after it."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async with kept_alive(response, every_s=0.01) as writing:
            await asyncio.sleep(0.1)
            async with writing:
                await response.write(b"data: first half, ")
                await asyncio.sleep(0.1)
                await response.write(b"second half\n\n")
            await asyncio.sleep(0.1)
        return response

    app = web.Application()
    app.router.add_get("/", stream)
    async with TestClient(TestServer(app)) as client:
        body = await (await client.get("/")).read()
    before, event, after = body.partition(b"data: first half, second half\n\n")
    assert event
    assert before.startswith(b": keep-alive\n\n")
    assert after.startswith(b": keep-alive\n\n")
