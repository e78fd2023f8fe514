"""Exceptions after a response has begun."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from worker.api.errors import STREAMING, errors


async def breaks_in_the_middle(request: web.Request) -> web.StreamResponse:
    """Fail after the first bytes of a response."""
    response = web.StreamResponse()
    await response.prepare(request)
    request[STREAMING] = True
    await response.write(b"half")
    raise ValueError("nobody expected this")


async def test_a_stream_that_fails_is_broken_off() -> None:
    """A failing stream is aborted, and no second response is written into it."""
    app = web.Application(middlewares=[errors])
    app.router.add_get("/", breaks_in_the_middle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/") as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
    finally:
        await runner.cleanup()
