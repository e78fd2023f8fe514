"""A server with limited connections in a process of its own: prints its port, and serves until it is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvloop
from aiohttp import web

from worker.connections import HANDLER, ConnectionLimits, LimitedSite, prove
from worker.supervision import Tasks


async def proven(request: web.Request) -> web.Response:
    prove(request)
    return web.Response(text="known")


async def file(_: web.Request) -> web.Response:
    return web.Response(text=await asyncio.to_thread(Path(__file__).read_text, "utf-8"))


async def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/prove", proven), web.get("/file", file)])
    runner = web.AppRunner(app, access_log=None, **HANDLER)
    async with Tasks() as tasks:
        await runner.setup()
        await LimitedSite(runner, "127.0.0.1", 0, limits=ConnectionLimits(), tasks=tasks).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
