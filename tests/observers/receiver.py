"""A webhook receiver on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web


@dataclass
class Heard:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return orjson.loads(self.body)


@dataclass
class Receiver:
    """Responds with the next of `statuses`, then 200. The first `hangs` requests get no response."""

    statuses: list[int] = field(default_factory=list)
    hangs: int = 0
    heard: list[Heard] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def opened(self) -> str:
        """Value for WORKER_FETCH_ALLOW."""
        return self.url.removeprefix("http://").partition("/")[0]

    async def answer(self, request: web.Request) -> web.Response:
        found = Heard({name.lower(): value for name, value in request.headers.items()}, await request.read())
        async with self._news:
            self.heard.append(found)
            self._news.notify_all()
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers=self.headers)

    async def messages(self, count: int) -> list[Heard]:
        """Wait for this number of messages."""
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.heard) >= count)
        return self.heard


@asynccontextmanager
async def receiver(**given: object) -> AsyncIterator[Receiver]:
    found = Receiver(**given)  # type: ignore[arg-type]
    app = web.Application(client_max_size=1 << 28)
    app.router.add_route("*", "/{tail:.*}", found.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?key=url-secret"
        yield found
    finally:
        await runner.cleanup()
