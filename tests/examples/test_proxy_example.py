"""The files of examples/proxy: a configuration that loads, a compose file that fits it, and Caddy with a proxy."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.conftest import ROOT, worker
from tests.engines import EngineHandle
from tests.proxy.running import proxy
from tests.workflows import picture
from worker.engine.process.free_port import free_port
from worker.proxy.config.config_file import load_config

EXAMPLE = ROOT / "examples" / "proxy"
CONFIG = load_config(EXAMPLE / "proxy.toml")
COMPOSE = yaml.safe_load((EXAMPLE / "compose.yaml").read_text("utf-8"))


def test_the_variables_are_in_the_environment_file() -> None:
    """Each key that a backend reads is a line of proxy.env.example, without a value."""
    lines = (EXAMPLE / "proxy.env.example").read_text("utf-8").splitlines()
    variables = {line for line in lines if line and not line.startswith("#")}
    assert variables == {f"{backend.key_env}=" for backend in CONFIG.backends}


def test_compose_fits_the_configuration() -> None:
    """The state is a volume, the network of Caddy is a trusted proxy, and only Caddy has ports of the machine."""
    service = COMPOSE["services"]["proxy"]
    assert f"state:{CONFIG.server.state}" in service["volumes"]
    assert set(CONFIG.server.trusted_proxies) == {COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"]}
    assert ip_network(CONFIG.server.trusted_proxies[0]).is_private
    assert "ports" not in service
    assert COMPOSE["services"]["caddy"]["ports"] == ["80:80", "443:443"]
    assert f"proxy:{CONFIG.server.port}" in (EXAMPLE / "Caddyfile").read_text("utf-8")


def test_the_command_and_the_volumes_name_files_that_exist() -> None:
    """Files of the example that containers get are there, except the one with secrets."""
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (EXAMPLE / source).is_file()


@asynccontextmanager
async def caddy(folder: Path, upstream: str) -> AsyncIterator[str]:
    """Run Caddy with the Caddyfile of the example in front of an address, and yield its URL."""
    site = f"http://127.0.0.1:{free_port()}"
    environ = {"PROXY_SITE": site, "PROXY_UPSTREAM": upstream, "HOME": str(folder), "PATH": os.environ["PATH"]}
    with (folder / "caddy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("caddy", "run", "--config", str(EXAMPLE / "Caddyfile"), "--adapter", "caddyfile"),
            env=environ,
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while not await _responds(http, f"{site}/health"):
                assert process.returncode is None, (folder / "caddy.log").read_text()
                await asyncio.sleep(0.1)
        yield site
    finally:
        process.terminate()
        await process.wait()


async def _responds(http: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a server responds at a URL with 200."""
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.tools("caddy")
@pytest.mark.timeout(120)
async def test_caddy_passes_jobs_and_events_on(engine: EngineHandle, tmp_path: Path) -> None:
    """Through Caddy, a job returns its image, events arrive, URLs name Caddy, and the metrics are hidden."""
    async with worker(engine, tmp_path / "worker") as backend:
        toml = f'[server]\ntrusted_proxies = ["127.0.0.1"]\n[[backends]]\nname = "own"\nurl = "{backend.app.url}"\n'
        async with (
            proxy(tmp_path / "proxy", toml=toml) as running,
            caddy(tmp_path, running.url.removeprefix("http://")) as site,
            aiohttp.ClientSession(site) as http,
        ):
            async with http.post("/generate/sync", json={"workflow": picture()}) as answer:
                assert (answer.status, (await answer.json())["image"][:5]) == (200, "iVBOR")
            async with http.post("/generate", json={"workflow": picture(), "output_format": "url"}) as answer:
                assert (await answer.json())["url"].startswith(f"{site}/jobs/")
            async with http.post("/generate/stream", json={"workflow": picture(color=9)}) as answer:
                text = await answer.text()
                assert "event: accepted" in text
                result = text.rpartition("event: result\ndata: ")[2].partition("\n\n")[0]
                assert json.loads(result)["status"] == "success"
            async with http.get("/metrics") as answer:
                assert answer.status == 404
