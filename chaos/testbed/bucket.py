"""A bucket on loopback that can be down, slow, broken, or of another mind about its keys."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Self

from aiohttp import web

SLOW_S = 3.0
NAME = "chaos"
ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class Mood(StrEnum):
    WELL = "well"
    SLOW = "slow"
    BROKEN = "500s"
    STRICT = "wrong credentials"
    DOWN = "down"
    PAGE = "200 and a page for people"
    CUT = "half an error"


class BucketServer:
    """Takes `PUT /bucket/key`, as S3's clients send it for a file of a few MiB; `files` counts each key's uploads."""

    def __init__(self) -> None:
        self.mood = Mood.WELL
        self.files: dict[str, int] = {}
        self.url = ""
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.add_routes([web.route("*", "/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def be(self, mood: Mood) -> None:
        """From the next request on; down means that nobody listens."""
        was, self.mood = self.mood, mood
        if mood is Mood.DOWN:
            await self._site.stop()
        elif was is Mood.DOWN:
            await self._open()

    async def _open(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        match self.mood:
            case Mood.BROKEN | Mood.DOWN:
                return _refusal(500, "InternalError")
            case Mood.STRICT:
                return _refusal(403, "InvalidAccessKeyId")
            case Mood.PAGE:
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case Mood.CUT:
                return web.Response(status=500, text=ERROR[: len(ERROR) // 2], content_type="application/xml")
            case Mood.SLOW:
                await asyncio.sleep(SLOW_S)
        if request.method == "PUT" and body:
            self.files[request.path] = self.files.get(request.path, 0) + 1
        return web.Response(headers={"ETag": '"0"'})


def _refusal(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=ERROR.format(code, "as it was told to"), content_type="application/xml")
