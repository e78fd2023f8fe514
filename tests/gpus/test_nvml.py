"""A worker reads GPUs through NVIDIA's bindings. The library of the driver is a stand-in that the test compiles."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.cli.commands.test_serve import serving
from tests.gpus.nvml import GPU, FakeNvml, compile_fake

pytestmark = pytest.mark.tools("cc")

SECOND, OTHER = {**GPU, "uuid": "GPU-22222222-bbbb"}, {**GPU, "uuid": "GPU-33333333-cccc"}


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> FakeNvml:
    return compile_fake(tmp_path_factory.mktemp("nvml"))


async def metrics(http: aiohttp.ClientSession, url: str, has: Callable[[str], object] = bool) -> str:
    """Return the metrics page, as soon as `has` finds in it what it looks for."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/metrics") as response:
                page = await response.text()
            if has(page):
                return page
            await asyncio.sleep(0.1)


async def test_a_worker_reports_its_gpus(nvml: FakeNvml, tmp_path: Path) -> None:
    """The GPUs of the engines are in the metrics and in /capabilities, and others of the machine are not."""
    nvml.set(GPU, SECOND, OTHER)
    async with (
        serving(cwd=tmp_path, WORKER_GPUS="2", **nvml.variables) as (_, said),
        aiohttp.ClientSession() as http,
    ):
        url = said.split()[-1]
        page = await metrics(http, url, lambda text: "comfy_worker_gpu_up" in text)
        name, uuid = GPU["name"], GPU["uuid"]
        labels = f'driver="550.54.15",engine="engine-0",gpu="0",name="{name}",uuid="{uuid}"'
        for line in (
            f"comfy_worker_gpu_info{{{labels}}} 1.0",
            'comfy_worker_gpu_up{gpu="1"} 1.0',
            'comfy_worker_gpu_utilization_ratio{gpu="0"} 0.87',
            'comfy_worker_gpu_memory_used_bytes{gpu="0"} 8e+09',
            'comfy_worker_gpu_power_watts{gpu="0"} 215.5',
            'comfy_worker_gpu_energy_joules_total{gpu="0"} 3600.0',
            'comfy_worker_gpu_temperature_celsius{gpu="0"} 61.0',
            'comfy_worker_gpu_clock_hertz{gpu="0"} 2.52e+09',
            'comfy_worker_gpu_throttle_seconds_total{gpu="0",reason="thermal"} 0.0',
        ):
            assert line in page
        assert 'gpu="2"' not in page
        async with asyncio.timeout(60):
            while (found := await capabilities(http, url))[0] != 200:
                await asyncio.sleep(0.1)
        body = found[1]
        assert body["gpu_driver"] == "550.54.15"
        assert [(gpu["index"], gpu["engine"]) for gpu in body["gpus"]] == [(0, "engine-0"), (1, "engine-1")]
        assert body["gpus"][0]["throttled"] == ["power_cap"]
        assert body["gpus"][0]["memory_total_bytes"] == GPU["memory_total"]


async def capabilities(http: aiohttp.ClientSession, url: str) -> tuple[int, dict]:
    async with http.get(f"{url}/capabilities") as response:
        return response.status, await response.json()


async def test_a_lost_gpu_and_a_driver_that_hangs(nvml: FakeNvml, tmp_path: Path) -> None:
    """A lost GPU is reported as such. A driver that hangs holds up neither the metrics nor the end of the worker."""
    lost = {**SECOND, "error": 15}
    nvml.set(GPU, SECOND)
    async with serving(cwd=tmp_path, **nvml.variables) as (process, said), aiohttp.ClientSession() as http:
        url = said.split()[-1]
        await metrics(http, url, lambda text: 'comfy_worker_gpu_up{gpu="1"} 1.0' in text)
        nvml.set(GPU, lost)
        page = await metrics(http, url, lambda text: 'comfy_worker_gpu_up{gpu="1"} 0.0' in text)
        assert 'comfy_worker_gpu_power_watts{gpu="1"}' not in page
        throttled = re.search(r'gpu_throttle_seconds_total\{gpu="0",reason="power_cap"\} (\S+)', page)
        assert throttled
        assert float(throttled[1]) > 0
        nvml.set(GPU, lost, sleep=60)
        await asyncio.sleep(2.5)  # the next reading has begun
        async with asyncio.timeout(60):
            await metrics(http, url)
            process.terminate()
            await process.wait()
    assert process.returncode == 0


async def test_a_driver_that_is_not_loaded_is_no_driver(nvml: FakeNvml, tmp_path: Path) -> None:
    """Where the library finds no driver, the worker works and reports and logs nothing about GPUs."""
    nvml.set(init=9)
    async with serving(cwd=tmp_path, **nvml.variables) as (process, said), aiohttp.ClientSession() as http:
        page = await metrics(http, said.split()[-1])
        assert "comfy_worker_ready" in page
        assert "comfy_worker_gpu_up" not in page
        process.terminate()
        _, log = await process.communicate()
    assert "GPU" not in said + log.decode()
