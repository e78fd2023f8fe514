"""A server with limited connections in a process of its own.

It prints its port and serves until it is killed. Arguments: seconds for headers, and a file with certificate and key
for TLS.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from worker.connections import HANDLER_OPTIONS, ConnectionLimits, LimitedSite, mark_authenticated
from worker.supervision import Tasks


async def authenticated_handler(request: web.Request) -> web.Response:
    mark_authenticated(request)
    return web.Response(text="known")


async def file(_: web.Request) -> web.Response:
    return web.Response(text=await asyncio.to_thread(Path(__file__).read_text, "utf-8"))


def context(pem: str = "") -> ssl.SSLContext | None:
    if not pem:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(pem)
    return made


async def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/prove", authenticated_handler), web.get("/file", file)])
    runner = web.AppRunner(app, access_log=None, **HANDLER_OPTIONS)
    async with Tasks() as tasks:
        await runner.setup()
        limits = ConnectionLimits(header_s=float(sys.argv[1]))
        site = LimitedSite(runner, "127.0.0.1", limits=limits, tasks=tasks, ssl_context=context(*sys.argv[2:]))
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
