"""A real HTTP server on loopback that behaves as a test defines, and records its requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web

from worker.backoff import Backoff
from worker.fetch.download import DownloadLimits
from worker.fetch.fetcher import Fetcher
from worker.settings import Settings

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """A server with a handler for each path in `answers`. `*` handles all other paths."""

    host: str
    port: int = 0
    scheme: str = "http"
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)

    def url(self, path: str = "/file") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        answer = self.answers.get(request.path) or self.answers.get("*")
        return await answer(request) if answer else web.Response(status=404)


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0, **answers: Answer
) -> AsyncIterator[Origin]:
    """Yield an origin. Keywords are handlers by path, without its slash."""
    origin = Origin(
        host,
        scheme="https" if tls else "http",
        answers={name if name == "*" else f"/{name}": one for name, one in answers.items()},
    )
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", origin.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        origin.port = runner.addresses[0][1]
        yield origin
    finally:
        await runner.cleanup()


def content(data: bytes, **headers: str) -> Answer:
    """Return a handler that sends the complete file each time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": location})

    return answer


def broken(data: bytes, at: int, **headers: str) -> Answer:
    """Return a handler that announces the complete file, sends a part of it, and closes the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={name.replace("_", "-"): value for name, value in headers.items()})
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:at])
        await asyncio.sleep(0)
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Return a handler that uses each of these once, and repeats the last one."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


def ranged(data: bytes, **headers: str) -> Answer:
    """Return a handler that supports `Range`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start
        if start is None:
            return web.Response(body=data, headers=sent)
        span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        return web.Response(status=206, body=data[start:], headers=sent | span)

    return answer


@asynccontextmanager
async def fetching(
    folder: Path, resolver: object = None, trust: object = None, **given: object
) -> AsyncIterator[Fetcher]:
    """Yield a fetcher with the test's settings."""
    settings = Settings.of(**given)
    async with Fetcher(settings.fetch, folder / "fetched", resolver, trust) as fetcher:  # type: ignore[arg-type]
        yield fetcher


def opened(*origins: Origin) -> str:
    """Return an allow-list with exactly these hosts."""
    return ", ".join(f"[{one.host}]:{one.port}" if ":" in one.host else f"{one.host}:{one.port}" for one in origins)


def at_once(fetcher: Fetcher) -> DownloadLimits:
    """Return the fetcher's limits without pauses between retries."""
    return replace(fetcher.limits, backoff=Backoff(0, 0))
