"""A server that behaves like an S3 bucket on loopback, with faults on demand."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Self

from aiohttp import web

SLOW_S = 3.0
NAME = "chaos"
ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class BucketFault(StrEnum):
    """Faults of the bucket."""

    NONE = "none"
    SLOW = "slow"
    SERVER_ERROR = "500s"
    WRONG_CREDENTIALS = "wrong credentials"
    DOWN = "down"
    HTML_PAGE = "200 and an HTML page"
    TRUNCATED_ERROR = "half an error"


class BucketServer:
    """The bucket. It accepts `PUT /bucket/key`, and `files` counts the uploads of each key."""

    def __init__(self) -> None:
        self.fault = BucketFault.NONE
        self.files: dict[str, int] = {}
        self.url = ""
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.add_routes([web.route("*", "/{path:.*}", self._handle)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def set_fault(self, fault: BucketFault) -> None:
        """Apply a fault to all later requests. DOWN closes the port."""
        previous, self.fault = self.fault, fault
        if fault is BucketFault.DOWN:
            await self._site.stop()
        elif previous is BucketFault.DOWN:
            await self._listen()

    async def _listen(self) -> None:
        """Open the port, which stays the same over the server's life."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def _handle(self, request: web.Request) -> web.Response:
        """Store a file, or return the response of the current fault."""
        body = await request.read()
        match self.fault:
            case BucketFault.SERVER_ERROR | BucketFault.DOWN:
                return _error_response(500, "InternalError")
            case BucketFault.WRONG_CREDENTIALS:
                return _error_response(403, "InvalidAccessKeyId")
            case BucketFault.HTML_PAGE:
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case BucketFault.TRUNCATED_ERROR:
                return web.Response(status=500, text=ERROR[: len(ERROR) // 2], content_type="application/xml")
            case BucketFault.SLOW:
                await asyncio.sleep(SLOW_S)
        if request.method == "PUT" and body:
            self.files[request.path] = self.files.get(request.path, 0) + 1
        return web.Response(headers={"ETag": '"0"'})


def _error_response(status: int, code: str) -> web.Response:
    """Return an error in the XML of S3."""
    return web.Response(status=status, text=ERROR.format(code, "simulated fault"), content_type="application/xml")
