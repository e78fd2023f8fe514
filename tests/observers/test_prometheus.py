"""Prometheus' linter and a real Prometheus read the metrics page."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.workflows import failing, picture
from worker.engine.process.free_port import free_port

TOKEN = "the-metrics-own-token"
PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
NEEDED = ("promtool", "prometheus")

pytestmark = [
    pytest.mark.tools(*NEEDED),
    pytest.mark.skipif(
        not all(shutil.which(name) for name in NEEDED),
        reason="promtool and prometheus (Debian: prometheus) are not installed",
    ),
]


@asynccontextmanager
async def measured_worker(engine: EngineHandle, state: Path) -> AsyncIterator[Client]:
    """A worker with a metrics token that has completed, failed and rejected a job."""
    async with worker(engine, state, metrics_token=SecretStr(TOKEN)) as client:
        for workflow in (picture(), failing(), {}):
            await client.post("/generate/sync", {"workflow": workflow})
        yield client


async def run(*command: str | Path, stdin: bytes = b"") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin)
    return process.returncode or 0, output.decode()


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[str]:
    """Start a Prometheus with the configuration of docs/metrics.md that scrapes `target`. Yield its URL."""
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example, "docs/metrics.md has no example"
    token, config = folder / "token", folder / "prometheus.yml"
    token.write_text(TOKEN)
    text = example[1].replace("/etc/prometheus/comfy-worker.token", str(token)).replace("15s", "1s")
    config.write_text(text.replace("127.0.0.1:18288", target))
    assert (await run("promtool", "check", "config", config))[0] == 0
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def query(http: aiohttp.ClientSession, server: str, expression: str) -> list[dict]:
    """Return the result of a PromQL expression. It is empty while the server does not respond."""
    try:
        async with http.get(f"{server}/api/v1/query", params={"query": expression}) as answer:
            body = await answer.json(content_type=None)
    except aiohttp.ClientConnectionError:
        return []
    assert body is None or body["status"] == "success", (expression, body)
    return body["data"]["result"] if body else []


async def test_the_linter_has_nothing_to_say(engine: EngineHandle, tmp_path: Path) -> None:
    """`promtool check metrics` reports no problem."""
    async with (
        measured_worker(engine, tmp_path) as client,
        client.http.get(client.app.url + "/metrics", headers=bearer(TOKEN)) as answer,
    ):
        page = await answer.read()
    assert await run("promtool", "check", "metrics", stdin=page) == (0, "")


async def test_a_real_prometheus_scrapes_the_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """A real Prometheus scrapes the worker, and accepts every documented query."""
    async with (
        measured_worker(engine, tmp_path / "worker") as client,
        prometheus(tmp_path, client.app.url.removeprefix("http://")) as server,
    ):
        async with asyncio.timeout(25):
            while not (jobs := await query(client.http, server, "comfy_worker_jobs_total")):
                await asyncio.sleep(0.2)
        ends = {one["metric"]["state"]: (one["metric"].get("code", ""), one["value"][1]) for one in jobs}
        assert ends == {"completed": ("", "1"), "failed": ("node_failed", "1")}
        [up] = await query(client.http, server, 'up{job="comfy-worker"}')
        assert up["value"][1] == "1"
        expressions = re.findall(r"\| `([^`]+)` \|$", PAGE, re.MULTILINE)
        assert len(expressions) >= 7
        for expression in expressions:
            await query(client.http, server, expression)
