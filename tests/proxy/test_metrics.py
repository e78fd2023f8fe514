"""The metrics of the proxy: events counted by backend, numbers of this moment, and a real Prometheus."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.monitoring.prometheus_server import run, started
from tests.proxy.running import ProxyClient, proxy
from tests.workflows import failing, picture, slow
from worker.proxy.callers import key_hash
from worker.proxy.metrics.specs import PROXY_LIVE, PROXY_RECORDED

NOWHERE = "http://127.0.0.1:9"
KEY = "cwp_metrics-0123456789"


async def page(client: ProxyClient, **headers: str) -> str:
    """Return the metrics page."""
    async with client.http.get(f"{client.url}/metrics", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


def values(text: str) -> dict[str, float]:
    """Return the series of a page, without those of buckets, by name and labels."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#") and "_bucket" not in line]
    return {series.removeprefix("comfy_worker_proxy_"): float(value) for series, _, value in lines}


def two_backends(first: str, second: str) -> str:
    """Return a configuration with all jobs for the first backend, and the second one as fallback."""
    return (
        f'[[backends]]\nname = "first"\nurl = "{first}"\n[[backends]]\nname = "second"\nurl = "{second}"\n'
        '[[routes]]\nbackends = {first = 1}\nfallback = ["second"]\n'
    )


async def test_jobs_are_counted_by_backend_and_outcome(engine: EngineHandle, tmp_path: Path) -> None:
    """Jobs that succeed, fail and are cancelled, and errors of the proxy itself, are different series."""
    async with worker(engine, tmp_path / "worker") as backend, proxy(tmp_path / "proxy", backend.app.url) as client:
        for workflow in (picture(), picture(), failing()):
            await client.post("/generate/sync", {"workflow": workflow})
        _, job = await client.post("/generate", {"workflow": slow(60, steps=600)})
        assert values(await page(client))['open_jobs{backend="http"}'] == 1
        await client.post(f"/cancel/{job['id']}", {}, Authorization=f"Bearer {job['token']}")
        await client.get("/jobs/nobody")
        series = values(await page(client))
    outcomes = {
        outcome: series[f'jobs_total{{backend="http",outcome="{outcome}"}}']
        for outcome in ("succeeded", "failed", "cancelled")
    }
    assert outcomes == {"succeeded": 2, "failed": 1, "cancelled": 1}
    assert series['submissions_total{backend="http"}'] == 4
    assert series['attempts_total{backend="http",outcome="ended"}'] == 4
    assert series['job_duration_seconds_count{backend="http"}'] == 4
    assert series["dispatch_seconds_count"] == 4
    assert series['requests_rejected_total{code="not_found",route="/jobs/{id}"}'] == 1
    assert (series['open_jobs{backend="http"}'], series["waiting_jobs"]) == (0, 0)
    assert not [name for name in series if name.startswith("fallbacks")]


async def test_a_fallback_is_counted_with_its_reason(engine: EngineHandle, tmp_path: Path) -> None:
    """The backend that did not respond has the fallback, and the one that ran the job has the job."""
    async with (
        worker(engine, tmp_path / "worker") as backend,
        proxy(tmp_path / "proxy", toml=two_backends(NOWHERE, backend.app.url)) as client,
    ):
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
        series = values(await page(client))
    assert series['fallbacks_total{backend="first",reason="unreachable"}'] == 1
    assert series['jobs_total{backend="second",outcome="succeeded"}'] == 1
    assert (series['backend_up{backend="first"}'], series['backend_up{backend="second"}']) == (0, 1)


async def test_the_load_of_a_backend_is_shown(engine: EngineHandle, tmp_path: Path) -> None:
    """Jobs that wait and run at a backend are there, also those of other callers."""
    async with worker(engine, tmp_path / "worker") as backend, proxy(tmp_path / "proxy", backend.app.url) as client:
        for _ in range(3):
            await backend.post("/generate", {"workflow": slow(60, steps=600)})
        async with asyncio.timeout(30):
            while values(await page(client)).get('backend_queued_jobs{backend="http"}') != 2:
                await asyncio.sleep(0.1)
        assert values(await page(client))['backend_running_jobs{backend="http"}'] == 1


async def test_every_metric_is_on_the_page_as_declared(engine: EngineHandle, tmp_path: Path) -> None:
    """Each specification has a line with its help text and its type."""
    async with worker(engine, tmp_path / "worker") as backend, proxy(tmp_path / "proxy", backend.app.url) as client:
        text = await page(client)
    for spec in (*PROXY_RECORDED, *PROXY_LIVE):
        assert f"# HELP {spec.full_name} {spec.help}" in text
        assert f"# TYPE {spec.full_name} {spec.type}" in text


async def test_the_page_has_a_key_of_its_own(tmp_path: Path) -> None:
    """With `metrics_key_sha256` the page needs that key, and without it a request through a proxy is 404."""
    backend = f'[[backends]]\nname = "own"\nurl = "{NOWHERE}"\n'
    digest = key_hash(KEY.encode())
    async with proxy(tmp_path / "open", toml=backend) as client:
        assert "comfy_worker_info" in await page(client)
        async with client.http.get(f"{client.url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}) as answer:
            assert answer.status == 404
    async with proxy(tmp_path / "keyed", toml=f'[server]\nmetrics_key_sha256 = "{digest}"\n{backend}') as client:
        assert "comfy_worker_info" in await page(client, Authorization=f"Bearer {KEY}")
        assert (await client.get("/metrics", "another-key"))[0] == 401


@pytest.mark.tools("prometheus", "promtool")
@pytest.mark.timeout(120)
async def test_a_real_prometheus_scrapes_the_page(engine: EngineHandle, tmp_path: Path) -> None:
    """Prometheus stores the series with the configuration of docs/proxy.md, and its linter reports nothing."""
    example = re.search(r"```yaml\n(scrape_configs:.*?)```", (Path("docs") / "proxy.md").read_text("utf-8"), re.DOTALL)
    assert example
    (tmp_path / "key").write_text(KEY)
    async with (
        worker(engine, tmp_path / "worker") as backend,
        proxy(
            tmp_path / "proxy",
            toml=f'[server]\nmetrics_key_sha256 = "{key_hash(KEY.encode())}"\n{two_backends(NOWHERE, backend.app.url)}',
        ) as client,
    ):
        text = example[1].replace("/etc/prometheus/comfy-proxy.key", str(tmp_path / "key")).replace("15s", "1s")
        text = text.replace("127.0.0.1:8080", client.url.removeprefix("http://"))
        async with started(tmp_path, text, f"--storage.tsdb.path={tmp_path / 'data'}") as prometheus:
            await client.post("/generate/sync", {"workflow": picture()})
            [up] = await prometheus.until('comfy_worker_proxy_backend_up{backend="second"}')
            [fallbacks] = await prometheus.until("sum by (reason) (comfy_worker_proxy_fallbacks_total)")
        assert (up["value"][1], fallbacks["metric"]) == ("1", {"reason": "unreachable"})
        linted = await run(
            "promtool", "check", "metrics", stdin=(await page(client, Authorization=f"Bearer {KEY}")).encode()
        )
        assert linted == (0, "")
