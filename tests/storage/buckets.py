"""S3 servers on loopback: a complete one (moto), and one that returns scripted errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import boto3
from aiohttp import web
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from worker.storage.bucket import S3Target

KEY_ID, SECRET = "AKIDEXAMPLE0000", "wJalr-very-secret-EXAMPLEKEY"


@dataclass(frozen=True)
class WholeBucket:
    """A bucket on a moto server."""

    url: str
    name: str = "pictures"

    @property
    def target(self) -> S3Target:
        return S3Target(self.name, KEY_ID, SecretStr(SECRET), endpoint_url=self.url)

    def client(self) -> object:
        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1"
        )

    def names(self) -> list[str]:
        return [item["Key"] for item in self.client().list_objects_v2(Bucket=self.name).get("Contents", [])]  # type: ignore[attr-defined]

    def head(self, key: str) -> dict:
        return self.client().head_object(Bucket=self.name, Key=key)  # type: ignore[attr-defined]


@contextmanager
def whole_bucket() -> Iterator[WholeBucket]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = WholeBucket(f"http://{host}:{port}")
        bucket.client().create_bucket(Bucket=bucket.name)  # type: ignore[attr-defined]
        yield bucket
    finally:
        server.stop()


@dataclass
class ScriptedServer:
    """A server that returns the next of `statuses` for each request, then 200, and records the requests."""

    statuses: list[int] = field(default_factory=list)
    code: str = "InvalidAccessKeyId"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    request_headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hangs: bool = False
    page: bool = False
    """Each answer is a page for people, as of a proxy in between."""
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path_qs))
        self.request_headers.append(dict(request.headers))
        self.bodies.append(await request.read())
        if self.hangs:
            await asyncio.Event().wait()
        if self.page:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        status = self.statuses.pop(0) if self.statuses else 200
        text = f"<Error><Code>{self.code}</Code><Message>no, {SECRET}</Message></Error>" if status >= 300 else ""
        return web.Response(
            status=status, text=text, headers={"ETag": '"0"', **self.headers}, content_type="application/xml"
        )

    @property
    def target(self) -> S3Target:
        return S3Target("pictures", KEY_ID, SecretStr(SECRET), endpoint_url=self.url)


@asynccontextmanager
async def scripted(tls: ssl.SSLContext | None = None, **given: object) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(**given)  # type: ignore[arg-type]
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        server.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
