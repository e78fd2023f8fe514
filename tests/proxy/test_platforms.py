"""The proxy in front of stand-ins for platforms: the first example of the README, and kills over three of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.backends.open_backends import BACKENDS, OpenBackend
from tests.conftest import ROOT, bearer
from tests.docs.pages import blocks_of
from tests.proxy.running import Process, process, proxy
from tests.workflows import slow

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("http", "vast", "runpod")
KEYS = {"http": "COMFY_WORKER_TOKEN", "vast": "VAST_API_KEY", "runpod": "RUNPOD_API_KEY"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platforms(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, OpenBackend]]:
    """A worker, and stand-ins for Vast and RunPod with a worker each."""
    async with AsyncExitStack() as stack:
        yield {kind: await stack.enter_async_context(BACKENDS[kind](tmp_path_factory.mktemp(kind))) for kind in KINDS}


def configuration(platforms: dict[str, OpenBackend], *kinds: str) -> str:
    """Return a configuration with these backends. A job that cannot be followed is sent again."""
    tables = [
        f'[[backends]]\nname = "{kind}"\nurl = "{found.settings.url}"\napi_url = "{found.settings.api_url}"\n'
        for kind, found in platforms.items()
        if kind in kinds
    ]
    return "\n".join(tables)


def keys(platforms: dict[str, OpenBackend]) -> dict[str, str]:
    """Return the variables with the keys of the backends."""
    settings = {kind: found.settings.key for kind, found in platforms.items()}
    return {KEYS[kind]: key.get_secret_value() for kind, key in settings.items() if key is not None}


async def test_the_first_example_on_vast(platforms: dict[str, OpenBackend], tmp_path: Path) -> None:
    """README's first example works, as it is, for an endpoint of Vast, which has no such URL of its own."""
    (example,) = (block.text for block in blocks_of(ROOT / "README.md") if block.language == "python")
    async with proxy(tmp_path / "proxy", toml=configuration(platforms, "vast"), **keys(platforms)) as client:
        code = example.replace("http://127.0.0.1:18288", client.url)
        running = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=tmp_path)
        assert await running.wait() == 0
    assert (tmp_path / "python.png").read_bytes().startswith(b"\x89PNG")


@asynccontextmanager
async def proxy_process(folder: Path, platforms: dict[str, OpenBackend]) -> AsyncIterator[Process]:
    """Run a proxy in front of all three, in a process of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "proxy.toml").write_text(configuration(platforms, *KINDS))
    arguments = ("proxy", "--config", str(folder / "proxy.toml"), "--state", str(folder / "state"))
    async with process(folder, *arguments, **keys(platforms)) as running:
        yield running


async def runs(platforms: dict[str, OpenBackend]) -> dict[str, int]:
    """Return the numbers of runs that the backends have started."""
    return {kind: await found.started() for kind, found in platforms.items() if found.started is not None}


@pytest.mark.timeout(240)
async def test_kill_9_with_a_hundred_jobs_over_three_backends(
    platforms: dict[str, OpenBackend], tmp_path: Path
) -> None:
    """No accepted job is lost.

    Each job runs once, except those whose submission to RunPod was open at the kill, because RunPod has no key by which
    they could be found.
    """
    async with proxy_process(tmp_path, platforms) as running, aiohttp.ClientSession() as http:
        before = await runs(platforms)

        async def accepted(number: int) -> dict:
            body = {"workflow": slow(0.1, 1), "id": f"job-{number}"}
            async with http.post(running.url + "/generate", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return await answer.json()

        jobs = await asyncio.gather(*map(accepted, range(100)))
        await running.kill()
        await running.start("/health")

        async def result(job: dict) -> tuple[int, str]:
            headers = bearer(job["token"]) | {"Prefer": "wait=100"}
            async with http.get(f"{running.url}/jobs/{job['id']}", headers=headers) as answer:
                return answer.status, answer.headers.get("X-Comfy-Backend", await answer.text())

        async with asyncio.timeout(200):
            results = await asyncio.gather(*map(result, jobs))
        assert [status for status, _ in results] == [200] * 100
        shares = {kind: sum(backend == kind for _, backend in results) for kind in KINDS}
        started = {kind: count - before[kind] for kind, count in (await runs(platforms)).items()}
        assert min(shares.values()) > 15
        assert started["http"] == shares["http"]
        assert started["vast"] == shares["vast"]
        assert started["runpod"] == shares["runpod"]  # every submission had its answer when its caller got 202
