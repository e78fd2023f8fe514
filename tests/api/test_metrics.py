"""`GET /metrics` opens with its own token, or for a process of this machine."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.auth import Auth
from worker.errors import StartupError
from worker.settings import ServerSettings

TOKEN = "the-metrics-own-token"
CALLERS = "the-token-of-a-caller"


async def scraped(client: Client, token: str = "", **headers: str) -> tuple[int, str, aiohttp.typedefs.LooseHeaders]:
    """Return the metrics page."""
    sent = {**bearer(token), **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with client.http.get(client.app.url + "/metrics", headers=sent) as answer:
        return answer.status, await answer.text(), answer.headers


async def test_the_metrics_of_a_job(client: Client) -> None:
    """A finished job is in the next scrape, with the current gauges."""
    await client.post("/generate/sync", {"workflow": picture()})
    await client.post("/generate/sync", {"workflow": {}})
    status, text, headers = await scraped(client)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'comfy_worker_jobs_total{code="",state="completed"} 1.0' in text
    assert 'comfy_worker_node_seconds_count{class="SaveImage"} 1.0' in text
    assert (
        'comfy_worker_requests_refused_total{code="invalid_workflow",dialect="native",route="/generate/sync"} 1.0'
        in text
    )
    assert "comfy_worker_jobs_running 0.0" in text
    assert 'comfy_worker_engines{state="connected"} 1.0' in text
    assert "comfy_worker_ready 1.0" in text


async def test_the_token_is_needed_once_there_is_one(engine: EngineHandle, tmp_path: Path) -> None:
    """With a metrics token, tokens of callers and local requests do not open the metrics."""
    tokens = {"tokens": SecretStr(f"alice={CALLERS}"), "metrics_token": SecretStr(TOKEN)}
    async with worker(engine, tmp_path, **tokens) as client:
        for token in ("", CALLERS, TOKEN + "x", "\udcff"):
            status, text, headers = await scraped(client, token)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "comfy_worker_" not in text
        assert (await scraped(client, TOKEN))[0] == 200
        assert (await scraped(client, TOKEN, X_Forwarded_For="203.0.113.9"))[0] == 200
        async with client.http.get(client.app.url + "/capabilities", headers=bearer(TOKEN)) as answer:
            assert answer.status == 401, "the metrics' token opens nothing else"


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X_Real_IP": "203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "attacker.example"},
        {"Host": "attacker.example:18288"},
        {"Host": "["},
    ],
    ids=str,
)
async def test_without_a_token_a_proxy_is_not_this_machine(client: Client, headers: dict[str, str]) -> None:
    """Without a metrics token, requests through a proxy or of a page of another origin are rejected."""
    status, text, _ = await scraped(client, **headers)
    assert status == (403 if "Host" in headers else 404)
    assert "comfy_worker_" not in text


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:18288", "["])
async def test_another_name_is_not_this_machine(engine: EngineHandle, tmp_path: Path, host: str) -> None:
    """A local request with a foreign host name is rejected, also with tokens of callers."""
    async with worker(engine, tmp_path, tokens=SecretStr(f"alice={CALLERS}")) as client:
        assert (await scraped(client, Host=host))[0] == 404
        assert (await scraped(client))[0] == 200


async def test_a_lost_state_folder_is_seen(engine: EngineHandle, tmp_path: Path) -> None:
    """A worker whose state folder is gone serves the metrics and reports that it is not ready."""
    async with worker(engine, tmp_path / "state") as client:
        (tmp_path / "state").rename(tmp_path / "moved")
        status, text, _ = await scraped(client)
        (tmp_path / "moved").rename(tmp_path / "state")
    assert status == 200
    assert "comfy_worker_ready 0.0" in text
    assert "comfy_worker_disk_free_bytes 0.0" in text


async def test_openmetrics(client: Client) -> None:
    """OpenMetrics is served if the request accepts it."""
    status, text, headers = await scraped(client, Accept="application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize(("token", "why"), [("short", "fewer than"), (CALLERS, "must differ")])
def test_a_weak_token_is_refused_at_the_start(token: str, why: str) -> None:
    """A metrics token that is short, or equals a caller's token, stops the start."""
    settings = ServerSettings(tokens=SecretStr(f"alice={CALLERS}"), metrics_token=SecretStr(token))
    with pytest.raises(StartupError, match=f"WORKER_METRICS_TOKEN .*{why}"):
        Auth.from_settings(settings)
