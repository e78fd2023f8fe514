"""The worker of a load-balancing endpoint: a real process, its ports, its health check and its tokens."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.cli.commands.test_serve import serving
from tests.cli.terminal import cli
from tests.engines import EngineHandle
from tests.workflows import picture, slow
from worker.errors import StartupError
from worker.platforms.base import Authenticator
from worker.platforms.runpod.load_balancing import (
    LARGEST_RESPONSE,
    LoadBalancingSettings,
    RunpodLogin,
)
from worker.settings import Settings
from worker.simulators.runpod import RunpodAssumptions, serve_load_balancer

TOKEN = "ann-token-0123456789"
KEY = {"Authorization": "Bearer rpa_key_of_runpod"}
ENDPOINT = {"RUNPOD_ENDPOINT_ID": "ep1", "RUNPOD_POD_ID": "pod1", "WORKER_PLATFORM": "auto"}
PAGE = Path(__file__).parents[3] / "docs" / "runpod-load-balancing.md"


def free_ports() -> tuple[int, int]:
    """Return two ports that are free now."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@asynccontextmanager
async def endpoint(
    engine_url: str, cwd: Path, environ: Mapping[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession, str, str]]:
    """Run a worker as RunPod starts it. Yield the process, a session, the URL of the worker and that of its health."""
    port, health_port = free_ports()
    ports = {"PORT": str(port), "PORT_HEALTH": str(health_port)}
    arguments = ("--comfyui", engine_url)
    run = serving(*arguments, cwd=cwd, **ENDPOINT, **ports, **environ)
    async with run as (process, _), aiohttp.ClientSession() as http:
        yield process, http, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{health_port}"


async def status_of(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as answer:
        return answer.status


async def until(http: aiohttp.ClientSession, url: str, status: int) -> None:
    """Wait until a URL has this status."""
    async with asyncio.timeout(30):
        while await status_of(http, url) != status:
            await asyncio.sleep(0.05)


async def test_a_worker_of_an_endpoint(engine: EngineHandle, tmp_path: Path) -> None:
    """RunPod's variables select it, health has its own port and path, and a token works beside RunPod's key."""
    environ = {"WORKER_TOKENS": f"ann={TOKEN}", "HEALTH_CHECK_PATH": "/status/live"}
    async with endpoint(engine.url, tmp_path, environ) as (_, http, url, health):
        for path in ("/ping", "/status/live", "/health"):
            await until(http, health + path, 200)
            assert await status_of(http, url + path) == 200, path
        assert await status_of(http, f"{health}/generate/sync") == 404
        request = {"workflow": picture(), "output_format": "base64"}
        async with http.post(f"{url}/generate/sync", json=request, headers=KEY) as answer:
            assert answer.status == 401
        headers = {**KEY, "X-Worker-Token": TOKEN}
        async with http.post(f"{url}/generate/sync", json=request, headers=headers) as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "success")
        # The token of a job goes the same way, because `Authorization` is RunPod's.
        async with http.post(f"{url}/generate", json={"workflow": picture()}, headers=headers) as answer:
            job = await answer.json()
        job_headers = {**KEY, "X-Worker-Token": job["token"]}
        async with http.get(f"{url}/jobs/{job['id']}", headers=job_headers) as answer:
            assert answer.status in {200, 202}
        # Outputs of one worker have no URLs, because RunPod sends requests to any worker.
        body = {"workflow": picture(), "output_format": "url"}
        async with http.post(f"{url}/generate/sync", json=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (422, "url_needs_storage")


async def test_the_health_check_while_it_starts_and_drains(engine: EngineHandle, tmp_path: Path) -> None:
    """It is 204 while ComfyUI cannot be reached, 200 with it, and 503 during the drain, in which the job ends."""
    starting, door = tmp_path / "starting", free_ports()[0]
    starting.mkdir()
    environ = {"WORKER_RUNPOD_LOGIN": "platform"}
    async with endpoint(f"http://127.0.0.1:{door}", starting, environ) as (_, http, url, health):
        assert await status_of(http, f"{health}/ping") == 204
        assert await status_of(http, f"{url}/ping") == 204
        assert await status_of(http, f"{url}/health") == 200
    async with endpoint(engine.url, tmp_path, environ) as (process, http, url, health):
        await until(http, f"{health}/ping", 200)
        job = asyncio.create_task(http.post(f"{url}/generate/sync", json={"workflow": slow(2, steps=20)}, headers=KEY))
        async with asyncio.timeout(30):
            while (await numbers(http, url)) == 0:
                await asyncio.sleep(0.02)
        process.terminate()
        await until(http, f"{health}/ping", 503)
        assert await status_of(http, f"{url}/ping") == 503
        async with await job as answer:
            assert answer.status == 200, await answer.text()
        await asyncio.wait_for(process.wait(), 60)
    assert process.returncode == 0


@pytest.mark.parametrize("passes_authorization", [False, True])
async def test_behind_the_load_balancer(engine: EngineHandle, tmp_path: Path, passes_authorization: bool) -> None:
    """Clients of an endpoint start a job, follow it on its worker, and call RunPod's routes, with both keys."""
    assumptions = RunpodAssumptions(health_poll_s=0.05, passes_authorization=passes_authorization)
    async with serve_load_balancer(assumptions=assumptions) as balancer, aiohttp.ClientSession() as http:
        environ = {**balancer.worker_environ("w1"), "WORKER_TOKENS": f"ann={TOKEN}", "WORKER_PLATFORM": "auto"}
        key = {"Authorization": f"Bearer {balancer.api_key}"}
        async with serving("--comfyui", engine.url, cwd=tmp_path, **environ) as (process, _):
            await balancer.wait_until_ready()
            done = cli("health", cwd=tmp_path, **environ)
            assert (done.returncode, environ["PORT"] in done.stdout) == (0, True)
            body = {"workflow": picture()}
            async with http.post(f"{balancer.url}/generate/sync", json=body, headers=key) as answer:
                assert answer.status == 401
            headers = {**key, "X-Worker-Token": TOKEN}
            async with http.post(f"{balancer.url}/generate/sync", json=body, headers=headers) as answer:
                assert (answer.status, (await answer.json())["status"]) == (200, "success")
            async with http.post(f"{balancer.url}/run", json={"input": body}, headers=headers) as answer:
                job = await answer.json()
                headers["X-Runpod-Worker-Id"] = answer.headers["X-Runpod-Worker-Id"]
            url = f"{balancer.url}/status-sync/{job['id']}?wait=20000"
            async with http.get(url, headers=headers) as answer:
                assert (await answer.json())["status"] == "COMPLETED"
            process.terminate()
            await balancer.state.changes.until(lambda: balancer.state.ready == 0, 30)
            assert balancer.state.ready == 0


async def numbers(http: aiohttp.ClientSession, url: str) -> int:
    """Return the number of jobs."""
    async with http.get(f"{url}/health") as answer:
        jobs: int = (await answer.json())["jobs"]
        return jobs


def test_the_port_is_not_open_without_a_login(tmp_path: Path) -> None:
    """Without tokens, the worker starts only if RunPod's own check is declared to be enough, and names both ways."""
    done = cli("serve", cwd=tmp_path, **ENDPOINT, PORT=str(free_ports()[0]))
    said = " ".join(done.stderr.split())
    assert (done.returncode, "WORKER_TOKENS" in said, "WORKER_RUNPOD_LOGIN=platform" in said) == (1, True, True)


def test_the_traits_of_an_endpoint() -> None:
    """A request ends within 330 s, a response has at most 30 MB, and the login decides who checks requests."""
    settings = LoadBalancingSettings.from_env({"WORKER_RUNPOD_LOGIN": "platform"})
    assert settings.login is RunpodLogin.PLATFORM
    assert settings.traits.authenticates is Authenticator.PLATFORM
    assert (settings.port, settings.health_port, settings.health_path) == (80, 0, "/ping")
    assert settings.traits.max_response_bytes == LARGEST_RESPONSE < 30_000_000
    assert not settings.traits.output_urls
    for own_limit, used in ((0.0, 300.0), (60.0, 60.0), (540.0, 300.0)):
        assert settings.adapted(Settings.of(sync_limit_s=own_limit)).limits.sync_limit_s == used
    assert LoadBalancingSettings.from_env({}).traits.authenticates is Authenticator.WORKER
    with pytest.raises(StartupError, match="WORKER_RUNPOD_LOGIN"):
        LoadBalancingSettings.from_env({"WORKER_RUNPOD_LOGIN": "nobody"})


def test_an_invalid_health_path_is_refused(tmp_path: Path) -> None:
    """A path that is no plain path, such as one with a placeholder, is named."""
    for path in ("ping", "/a b", "/{id}"):
        environ = {**ENDPOINT, "PORT": str(free_ports()[0]), "WORKER_RUNPOD_LOGIN": "platform"}
        done = cli("serve", cwd=tmp_path, **environ, HEALTH_CHECK_PATH=path)
        assert (done.returncode, "WORKER_HEALTH_PATH" in done.stderr) == (1, True), path


def test_every_setting_is_described() -> None:
    """The page has the settings of the code."""
    page = PAGE.read_text("utf-8")
    rows = [f"| `{env}` | {default} | {text} |" for env, default, text in LoadBalancingSettings.table()]
    assert [row for row in rows if row not in page] == []


def test_every_test_that_is_named_exists() -> None:
    """Every test that the page names exists."""
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert {name for name in named if f"def {name}(" not in Path(__file__).read_text("utf-8")} == set()
