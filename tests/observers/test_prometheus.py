"""Prometheus' linter and a real Prometheus read the metrics page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.monitoring.prometheus_server import PAGE, TOKEN, prometheus, run
from tests.workflows import failing, picture

pytestmark = pytest.mark.tools("prometheus", "promtool")


@asynccontextmanager
async def measured_worker(engine: EngineHandle, state: Path) -> AsyncIterator[Client]:
    """A worker with a metrics token that has completed, failed and rejected a job."""
    async with worker(engine, state, metrics_token=SecretStr(TOKEN)) as client:
        for workflow in (picture(), failing(), {}):
            await client.post("/generate/sync", {"workflow": workflow})
        yield client


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
        prometheus(tmp_path, [client.app.url.removeprefix("http://")]) as server,
    ):
        jobs = await server.until("comfy_worker_jobs_total")
        ends = {one["metric"]["state"]: (one["metric"].get("code", ""), one["value"][1]) for one in jobs}
        assert ends == {"completed": ("", "1"), "failed": ("node_failed", "1")}
        [up] = await server.query('up{job="comfy-worker"}')
        assert up["value"][1] == "1"
        expressions = re.findall(r"\| `([^`]+)` \|$", PAGE, re.MULTILINE)
        assert len(expressions) >= 7
        for expression in expressions:
            await server.query(expression)
