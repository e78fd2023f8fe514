"""What the proxy keeps from backends, from callers among each other, and from web pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import bearer, worker
from tests.engines import EngineHandle
from tests.proxy.running import ProxyClient, proxy
from tests.workflows import picture, slow
from worker.proxy.callers import key_hash

ANN, BOB = "cwp_ann-0123456789", "cwp_bob-0123456789"
OWN = "the-operators-key-of-the-backend"


def configuration(url: str, ann: str = "", bob: str = "", second: str = "") -> str:
    """Return a configuration with a backend and two callers. `ann` and `bob` are lines of their tables."""
    more = f'[[backends]]\nname = "second"\nurl = "{second}"\n' if second else ""
    return (
        f'[[backends]]\nname = "own"\nurl = "{url}"\nkey_env = "OWN_KEY"\n{more}'
        f'[[callers]]\nname = "ann"\nkey_sha256 = "{key_hash(ANN.encode())}"\n{ann}\n'
        f'[[callers]]\nname = "bob"\nkey_sha256 = "{key_hash(BOB.encode())}"\n{bob}\n'
    )


@dataclass
class Recorder:
    """A backend that refuses every job, and keeps the requests."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that it has received."""
        return repr(self.requests)


@asynccontextmanager
async def recorder() -> AsyncIterator[Recorder]:
    """Run a backend that keeps what it gets."""
    recorded = Recorder()

    async def keep(request: web.Request) -> web.Response:
        recorded.requests.append(({**request.headers, "path": request.path_qs}, await request.read()))
        return web.json_response({"error": {"code": "invalid_workflow", "message": "no"}}, status=422)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", keep)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorded.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield recorded
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("path", ["/generate/sync", "/generate", "/runsync", "/v2/x/run", "/handlers/greet"])
async def test_a_backend_gets_no_key_of_a_caller(path: str, tmp_path: Path) -> None:
    """The backend gets the operator's key, and the caller's key in no header and no body."""
    async with (
        recorder() as backend,
        proxy(tmp_path, toml=configuration(backend.url), OWN_KEY=OWN) as client,
    ):
        headers = {"Authorization": f"Bearer {ANN}", "X-Worker-Token": ANN, "Cookie": f"key={ANN}", "X-User": ANN}
        await client.post(path, {"input": {"workflow": picture()}}, **headers)
        sent = [headers for headers, _ in backend.requests if "Idempotency-Key" in headers]
    assert [headers["Authorization"] for headers in sent] == [f"Bearer {OWN}"]
    assert ANN not in backend.text


async def test_no_response_has_a_key_or_a_url_of_a_backend(tmp_path: Path) -> None:
    """Errors and capabilities name a backend by its name in the configuration."""
    async with (
        recorder() as backend,
        proxy(tmp_path, toml=configuration(backend.url), OWN_KEY=OWN) as client,
    ):
        for path in ("/capabilities", "/v2/x/health", "/queue-info", "/ready"):
            text = str(await client.get(path, ANN))
            assert OWN not in text
            assert backend.url not in text


@pytest.fixture
async def shared(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[ProxyClient]:
    """A proxy with limits for one of two callers."""
    limits = "max_jobs = 1\nrequests_per_minute = 4"  # one more each 15 s
    async with (
        worker(engine, tmp_path / "worker") as backend,
        proxy(tmp_path / "proxy", toml=configuration(backend.app.url, limits), OWN_KEY=OWN) as client,
    ):
        yield client


async def test_limits_are_each_callers_own(shared: ProxyClient) -> None:
    """A caller with as many open jobs or requests as it may have gets 429, and the other caller does not."""
    job = {"workflow": slow(60, steps=600)}
    _, first = await shared.post("/generate", job, **bearer(ANN))
    status, body = await shared.post("/generate", job, **bearer(ANN))
    assert (status, body["error"]["code"]) == (429, "rate_limited")
    assert "1 at a time" in body["error"]["message"]
    status, of_bob = await shared.post("/generate", job, **bearer(BOB))
    assert status == 202
    for job_id, key in ((first["id"], ANN), (of_bob["id"], BOB)):
        assert (await shared.delete(f"/jobs/{job_id}", key))[1]["cancelled"]
    for _ in range(2):
        assert (await shared.post("/generate/sync", {"workflow": picture()}, **bearer(ANN)))[0] == 200
    async with shared.http.post(f"{shared.url}/generate", json=job, headers=bearer(ANN)) as answer:
        assert (answer.status, "4 requests" in await answer.text()) == (429, True)
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_caller_sees_its_own_jobs_only(shared: ProxyClient) -> None:
    """The job of another caller is as unknown as one that does not exist, on every route."""
    _, job = await shared.post("/generate", {"workflow": picture()}, **bearer(ANN))
    for path in (f"/jobs/{job['id']}", f"/jobs/{job['id']}/events", f"/jobs/{job['id']}/outputs/0", "/jobs/nobody"):
        status, body = await shared.get(path, BOB)
        assert (status, body["error"]["code"]) == (404, "not_found")
    assert (await shared.delete(f"/jobs/{job['id']}", BOB))[0] == 404
    assert (await shared.result({**job, "token": ANN}))[0] == 200


async def test_a_caller_uses_its_backends_only(engine: EngineHandle, tmp_path: Path) -> None:
    """The jobs of a caller with `backends` run there, also if a route or a fallback names others."""
    async with (
        recorder() as forbidden,
        worker(engine, tmp_path / "worker") as backend,
        proxy(
            tmp_path / "proxy",
            toml=configuration(forbidden.url, ann='backends = ["sec*"]', second=backend.app.url),
            OWN_KEY=OWN,
        ) as client,
    ):
        answers = await asyncio.gather(
            *(client.post("/generate/sync", {"workflow": picture()}, **bearer(ANN)) for _ in range(8))
        )
        _, capabilities = await client.get("/capabilities", ANN)
    assert {status for status, _ in answers} == {200}
    assert [one["name"] for one in capabilities["backends"]] == ["second"]
    assert not [headers for headers, _ in forbidden.requests if "Idempotency-Key" in headers]


async def test_pages_of_other_origins_are_refused(engine: EngineHandle, tmp_path: Path) -> None:
    """Without callers, a web page can start no job, and neither can a name whose DNS leads here."""
    async with worker(engine, tmp_path / "worker") as backend, proxy(tmp_path / "proxy", backend.app.url) as client:
        for path in ("/generate", "/runsync", "/v2/x/run", "/cancel/x", "/purge-queue"):
            for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
                status, _ = await client.post(path, {"workflow": picture()}, **headers)
                assert status == 403, (path, headers)
        assert client.app.jobs.open_jobs == 0


@pytest.mark.parametrize("key", ["a/b", "x" * 129, "nul\x00", ""])
async def test_ids_are_those_of_a_worker(shared: ProxyClient, key: str) -> None:
    """An id that could be a path, or is too long, is rejected by the proxy, and an empty one is none."""
    status, body = await shared.post("/generate/sync", {"workflow": picture(), "id": key}, **bearer(BOB))
    assert (status, body.get("error", {}).get("code")) == ((400, "invalid_field") if key else (200, None))


@pytest.mark.parametrize("header", ["X-User", "Idempotency-Key", "Authorization", "X-Worker-Token"])
async def test_a_header_of_bytes_is_no_bug(engine: EngineHandle, header: str, tmp_path: Path) -> None:
    """Bytes that are no text in a header that the proxy reads give a job or a client error, never a 500."""
    async with worker(engine, tmp_path / "worker") as backend:
        route = '[[routes]]\nbackends = {own = 1}\nsticky = "header:X-User"\n'
        toml = f'[[backends]]\nname = "own"\nurl = "{backend.app.url}"\n{route}'
        async with proxy(tmp_path / "proxy", toml=toml) as client:
            for path in ("/generate", "/v2/x/run"):
                assert await raw_status(client.url, path, header.encode() + b": \xff\xfe") in {200, 202, 400, 401}


async def raw_status(url: str, path: str, header: bytes) -> int:
    """Send a job with a header line as bytes, and return the status of the response."""
    body = json.dumps({"input": {"workflow": picture()}}).encode()
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n%b\r\n\r\n"
    writer.write(head % (path.encode(), len(body), header) + body)
    async with asyncio.timeout(30):
        response = await reader.read()
    writer.close()
    return int(response.split()[1])
