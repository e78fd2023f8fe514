"""Limits of unsigned requests to the public port."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests import workflows
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded, processes, start_worker
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
ROUTES = (
    *("/generate/sync", "/generate", "/generate/stream", "/result", "/cancel", "/events", "/deliver"),
    *("/session/create", "/session/end", "/session/get", "/session/health", "/pyworker/update", "/nowhere"),
)
SETTINGS = {
    "WORKER_SYNC_LIMIT": "2.0",
    "WORKER_MAX_BODY_MIB": "8",
    "WORKER_BODY_TIMEOUT": "2.0",
    "WORKER_MAX_CONNECTIONS": "512",
    "WORKER_MAX_QUEUE": "1000",
    "WORKER_MAX_WAIT": "0",
}
SIGNED, STRANGERS = 300, 500
Answer = tuple[int, Any]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Port:
    """The public port of a worker, and the signer of its requests."""

    local: LocalVast
    url: str

    @property
    def number(self) -> int:
        return int(self.url.rpartition(":")[2])

    def auth(self, number: int, **other: object) -> dict[str, object]:
        """Return `auth_data` as the router sends it."""
        signed = {"url": self.url, "signature": self.local.sign(self.url), "request_idx": number, "reqnum": number}
        return {"cost": 1.0, "endpoint": "comfy", "__request_id": "x", **signed, **other}

    async def post(self, body: bytes, path: str = "/generate/sync") -> Answer:
        async with aiohttp.ClientSession() as http, http.post(self.url + path, data=io.BytesIO(body)) as answer:
            return answer.status, await answer.json()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def port(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Port]:
    """Run one worker without TLS, so that a test can send anything."""
    folder = tmp_path_factory.mktemp("strangers")
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, local, engine, 1, folder / "state", **SETTINGS)
        await local.record.until(loaded(1))
        yield Port(local, local.record.statuses[-1].url)


@pytest_asyncio.fixture(loop_scope="module")
async def opened(port: Port) -> AsyncIterator[Callable[..., Awaitable[Stream]]]:
    """Yield a function that opens a connection and sends a possibly incomplete request."""
    streams: list[Stream] = []

    async def open_one(sent: bytes = b"") -> Stream:
        stream = await asyncio.open_connection("127.0.0.1", port.number)
        streams.append(stream)
        stream[1].write(sent)
        return stream

    yield open_one
    for _, writer in streams:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


Open = Callable[..., Awaitable[Stream]]


def head(path: str, length: int, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines, "", ""]).encode()


async def answered(stream: Stream) -> Answer:
    """Return the status and the body of a response."""
    status = int((await stream[0].readline()).split()[1])
    length = 0
    while (line := await stream[0].readline()) not in {b"\r\n", b""}:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, json.loads(await stream[0].readexactly(length))


@pytest.mark.parametrize("path", ROUTES)
async def test_compressed_bodies_are_refused_unread(path: str, opened: Open) -> None:
    """Compressed bodies get 415 on every route before the body is sent."""
    for encoding in ("gzip", "br", "zstd", "Deflate", "identity, gzip", "nonsense"):
        status, body = await answered(await opened(head(path, 100, f"Content-Encoding: {encoding}")))
        assert (status, body["error"]["code"]) == (415, "unsupported_encoding")
    twice = ("Content-Encoding: identity", "Content-Encoding: gzip")
    assert (await answered(await opened(head(path, 100, *twice))))[0] == 415


@pytest.mark.parametrize("path", ["/generate/sync", "/generate/stream", "/result", "/session/create"])
async def test_a_large_body_has_to_show_its_signature_first(path: str, opened: Open) -> None:
    """A large body without a signature in its head gets 413 at once; a smaller one is read."""
    body = b'{"payload": {"x": "' + b"x" * 70_000
    status, answer = await answered(await opened(head(path, 2 * MIB) + body))
    if path == "/session/create":
        assert status == 403
        return
    assert (status, answer["error"]["code"]) == (413, "body_too_large")
    assert "`auth_data` has to come first" in answer["error"]["message"]


async def test_a_large_body_without_a_length_is_cut_at_a_mebibyte(opened: Open) -> None:
    """The limit also applies to a chunked body."""
    stream = await opened(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        stream[1].write(b"%x\r\n%b\r\n" % (65_536, b'"' + b"x" * 65_533 + b'",'))
    status, answer = await answered(stream)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


async def test_a_forged_signature_is_refused_at_once(port: Port, opened: Open) -> None:
    """A forged signature is rejected before the rest of the body arrives."""
    forged = json.dumps({"auth_data": port.auth(1, signature="AAAA"), "payload": "x" * 10_000}).encode()
    for auth in (forged[:3000], json.dumps({"auth_data": port.auth(1, url="http://[")}).encode()[:-1]):
        status, answer = await answered(await opened(head("/generate/sync", 7 * MIB) + auth))
        assert (status, answer["error"]["code"]) == (401, "bad_signature")


def padded(size: int) -> dict[str, Any]:
    """Return a valid payload of this size."""
    return {"workflow": workflows.picture(), "inputs": {"unused.bin": "A" * size}}


@pytest.mark.parametrize("size", [400, 100_000, 900_000])
async def test_the_signature_may_come_last_in_a_small_body(port: Port, size: int) -> None:
    """The signature may come last in a body of up to 1 MiB."""
    body = {"payload": padded(size), "auth_data": port.auth(100 + size)}
    assert (await port.post(json.dumps(body).encode()))[0] in {200, 202}


@pytest.mark.parametrize("size", [400, 5 * MIB])
@pytest.mark.parametrize(
    "form",
    [
        '{"auth_data": %s, "payload": %s}',
        ' \r\n{ "session_id":null,\t"auth\\u005fdata" : %s , "payload":%s} \n',
        '\ufeff{"x": {"auth_data": {}}, "y": ["auth_data"], "auth_data": %s, "payload": %s}',
    ],
    ids=["plain", "escaped", "nested"],
)
async def test_a_signature_is_found_however_it_is_written(port: Port, form: str, size: int) -> None:
    """A signature is found with a byte order mark, blanks, escapes and equal names elsewhere."""
    body = form % (json.dumps(port.auth(len(form) + size)), json.dumps(padded(size)))
    assert (await port.post(body.encode()))[0] in {200, 202}


@pytest.mark.parametrize("size", [400, 100_000])
async def test_what_is_verified_is_what_is_used(port: Port, size: int) -> None:
    """Two different `auth_data` are rejected, and one that is not at the top does not count."""
    good, bad = json.dumps(port.auth(7)), json.dumps(port.auth(8, signature="AAAA"))
    other, payload = json.dumps(port.auth(9)), json.dumps(padded(size))
    forms = [
        f'{{"auth_data": {good}, "payload": {payload}, "auth_data": {bad}}}',
        f'{{"auth_data": {bad}, "payload": {payload}, "auth_data": {good}}}',
        f'{{"auth_data": {good}, "payload": {payload}, "auth_data": {other}}}',
        f'{{"x": {{"auth_data": {good}}}, "payload": {payload}}}',
        f'{{"payload": {payload}, "x": "\\"auth_data\\": {json.dumps(good)[1:-1]}"}}',
    ]
    for form in forms:
        status, answer = await port.post(form.encode())
        assert (status, answer["error"]["code"]) == (401, "bad_signature"), form[:80]


@pytest.mark.parametrize("begin", [b"", b"{", b'{"payload": "' + b"x" * 80_000], ids=["nothing", "a letter", "much"])
async def test_a_body_without_a_signature_has_a_time_limit(opened: Open, begin: bytes) -> None:
    """A body without a signature gets 408 after its time limit, even while bytes arrive."""
    stream = await opened(head("/generate/sync", 900_000) + begin)
    answer = asyncio.ensure_future(answered(stream))
    while not answer.done():
        stream[1].write(b" ")
        await asyncio.wait({answer}, timeout=0.2)
    status, body = await answer
    assert (status, body["error"]["code"]) == (408, "request_timeout")


async def test_signed_jobs_beside_strangers(port: Port, opened: Open) -> None:
    """300 signed jobs succeed while 500 connections from the same address hold half a request."""
    kinds = (b"", b"POST /gen", head("/generate/sync", 900), head("/generate", 9000) + b'{"payload":')
    strangers = [await opened(kinds[number % len(kinds)]) for number in range(STRANGERS)]

    async def job(http: aiohttp.ClientSession, number: int) -> int:
        body = {"auth_data": port.auth(number), "payload": {"workflow": workflows.picture()}}
        while True:  # a connection whose request has not arrived yet is a stranger's to the port, and may be closed
            try:
                async with http.post(f"{port.url}/generate/sync", json=body) as answer:
                    await answer.read()
                    return answer.status
            except aiohttp.ClientOSError:
                await asyncio.sleep(0.1)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        statuses = await asyncio.gather(*(job(http, 10_000 + number) for number in range(SIGNED)))
    assert set(statuses) <= {200, 202}
    assert len(strangers) == STRANGERS
