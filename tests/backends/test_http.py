"""The HTTP backend in front of servers that are no worker, that hang, or that break off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.backends.server import Handler, json_handler, serving
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.backends.base import Backend, JobBody, JobReference
from worker.backends.http import connection
from worker.backends.http.backend import HttpBackend
from worker.backends.http.connection import HttpConnection, open_session
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.engine.process.free_port import free_port
from worker.errors import BackendRefused, BackendUnreachable, JobLost, StartupError, SubmissionUncertain
from worker.simulators.vast_router.authority import Authority

JOB = JobBody("key", b'{"workflow": {}}')
REFERENCE = JobReference("id", "token")
MIB = 2**20


def at(url: str) -> contextlib.AbstractAsyncContextManager[Backend]:
    """Return the backend at a URL."""
    return open_backend(BackendSettings("mine", url, SecretStr("operators-key-canary")))


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (json_handler(200, {"hello": "world"}), BackendUnreachable),
        (json_handler(202, {"id": "x"}), BackendUnreachable),
        (json_handler(202, []), BackendUnreachable),
        (json_handler(302, {}, Location="https://elsewhere.example/login"), BackendUnreachable),
        (json_handler(404, {"detail": "Not Found"}), BackendRefused),
        (json_handler(403, {}), BackendRefused),
        (json_handler(502, {}), BackendRefused),
    ],
    ids=["other JSON", "half a response", "a list", "redirect", "404", "403", "502"],
)
async def test_a_url_that_is_no_worker(handler: Handler, error: type[Exception]) -> None:
    """The submission fails, another backend may have the job, and no message contains the key."""
    async with serving(handler) as url, at(url) as backend:
        with pytest.raises(error) as raised:
            await backend.submit(JOB)
        assert "canary" not in str(raised.value)
        assert "mine" in str(raised.value)
        if isinstance(raised.value, BackendRefused):
            assert raised.value.elsewhere


async def test_a_redirect_is_named_and_not_followed() -> None:
    """The key would be sent to another server."""
    handler = json_handler(307, {}, Location="https://elsewhere.example/login")
    async with serving(handler) as url, at(url) as backend:
        with pytest.raises(BackendUnreachable, match=r"a redirect to https://elsewhere\.example/login"):
            await backend.submit(JOB)


async def test_a_refusal_says_when_to_come_back() -> None:
    """The body of the worker's error and its Retry-After reach the caller."""
    error = {"code": "queue_full", "message": "the queue is full", "retryable_elsewhere": True}
    handler = json_handler(429, {"status": "error", "error": error}, **{"Retry-After": "7"})
    async with serving(handler) as url, at(url) as backend:
        with pytest.raises(BackendRefused) as raised:
            await backend.submit(JOB)
    assert (raised.value.status, raised.value.retry_after_s, raised.value.elsewhere) == (429, 7.0, True)
    assert json.loads(raised.value.body)["error"]["code"] == "queue_full"


async def test_an_answer_that_is_cut_off() -> None:
    """Half of a 202 is an uncertain submission. Half of a result is BackendUnreachable, after the first half."""

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202 if request.path == "/generate" else 200)
        response.content_length = 1000
        response.content_type = "application/json"
        await response.prepare(request)
        await response.write(b'{"id": "x", ')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(half) as url, at(url) as backend:
        with pytest.raises(SubmissionUncertain):
            await backend.submit(JOB)
        async with backend.result(REFERENCE) as response:
            assert await anext(aiter(response.chunks)) == b'{"id": "x", '
            with pytest.raises(BackendUnreachable):
                await response.read()


async def test_nothing_listens_and_nothing_answers() -> None:
    """No connection is BackendUnreachable. A server that accepts and is silent makes a submission uncertain."""
    async with at(f"http://127.0.0.1:{free_port()}") as backend:
        with pytest.raises(BackendUnreachable, match="no connection"):
            await backend.submit(JOB)

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    short = aiohttp.ClientTimeout(total=None, sock_read=0.3)
    async with serving(silent) as url, open_session() as session:
        backend = HttpBackend("mine", HttpConnection("mine", session, url, timeout=short))
        with pytest.raises(SubmissionUncertain, match="did not respond"):
            await backend.submit(JOB)
        with pytest.raises(BackendUnreachable, match="did not respond"):
            await backend.status(REFERENCE)
    assert connection.SESSION_TIMEOUT.sock_read


async def test_an_unknown_job_behind_a_proxy_that_fails() -> None:
    """404 means that the job is lost. 502 of a server in front of the worker does not."""
    async with serving(json_handler(404, {})) as url, at(url) as backend:
        with pytest.raises(JobLost):
            await backend.status(REFERENCE)

    async def bad_gateway(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html")

    async with serving(bad_gateway) as url, at(url) as backend:
        with pytest.raises(BackendUnreachable, match="in front of the worker"):
            await backend.status(REFERENCE)


async def test_a_large_result_is_streamed() -> None:
    """A result of 200 MiB passes in pieces, and the process does not grow by it."""

    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 200 * MIB
        await response.prepare(request)
        for _ in range(200):
            await response.write(bytes(MIB))
        return response

    async with serving(large) as url, at(url) as backend:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with backend.result(REFERENCE) as response:
            size = 0
            async for chunk in response.chunks:
                size += len(chunk)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert size == 200 * MIB
    assert grown_kib < 60 * 1024


async def test_a_path_in_front_of_a_worker_without_tokens(engine: EngineHandle, tmp_path: Path) -> None:
    """The base URL of a reverse proxy may have a path and a slash at its end. A worker without tokens needs no key."""
    async with worker(engine, tmp_path) as client, aiohttp.ClientSession() as http:

        async def forward(request: web.Request) -> web.StreamResponse:
            assert request.path.startswith("/comfy/v1/")
            url = f"{client.app.url}/{request.path.removeprefix('/comfy/v1/')}"
            headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            async with http.request(request.method, url, headers=headers, data=await request.read()) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

        async with serving(forward) as url, open_backend(BackendSettings("mine", f"{url}/comfy/v1/")) as backend:
            reference = await backend.submit(JobBody("key", json.dumps({"workflow": picture()}).encode()))
            async with backend.result(reference) as response:
                assert (response.status, json.loads(await response.read())["status"]) == (200, "success")
            assert (await backend.load()).workers == 1


async def test_a_certificate_that_nobody_trusts() -> None:
    """TLS is checked. The message names the problem."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=Authority().server_context()
    )
    async with server, at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as backend:
        with pytest.raises(BackendUnreachable, match="certificate"):
            await backend.submit(JOB)


@pytest.mark.parametrize(
    "url", ["ftp://host", "vast://", "comfy", "runpod://id?dialect=other", "modal://app", "vast://e?x=1"]
)
async def test_wrong_addresses(url: str) -> None:
    """The message names the forms, or the options of the kind."""
    with pytest.raises(StartupError) as raised:
        async with open_backend(BackendSettings("mine", url, SecretStr("canary"))):
            pass
    assert "canary" not in str(raised.value)


async def test_keep_alive_probes_are_on() -> None:
    """A host that vanishes without a word is noticed, also by a request that waits for hours."""

    async def unfinished(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async with serving(unfinished) as url, open_session() as session, session.get(url) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        connected = response.connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
