"""A worker behind the local Vast router that completes, fails and rejects jobs, fetches files and loses its engine."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests import workflows
from tests.fetch.origin import Origin, content, serving
from tests.inputs.files import loading, png
from tests.models.files import safetensors
from tests.monitoring.prometheus_server import TOKEN
from tests.observers.receiver import Receiver, receiver
from tests.platforms.conftest import loaded, processes
from worker.engine.process.free_port import free_port
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

PLACES = 2
"""Jobs that the worker accepts at a time."""


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """A running worker, the router in front of it, and the servers that it uses."""

    instance: str
    http: aiohttp.ClientSession
    vast: LocalVast
    origin: Origin
    hooks: Receiver

    async def play(self, number: int) -> None:
        """Send one round of requests. Rounds have different numbers, so that each fetches a model of its own."""
        photo = {"workflow": loading("photo"), "inputs": {"photo": self.origin.url("/cat.png")}}
        same = {"workflow": workflows.picture(color=number)}
        await self._through_the_router({"workflow": workflows.picture()})
        for body in (photo, photo, same, same, {"template": "smoke-resize"}, {"template": f"model-{number}"}):
            assert await self._send(body) == 200, body
        # The second job waits in the queue of ComfyUI while the first one runs, so that there is a gap between them.
        assert await self._send_at_once(0.4, 0.1) == [200, 200]
        assert await self._send({"workflow": workflows.failing()}) == 422
        assert await self._send({"workflow": {}}) == 422
        assert await self._send({"workflow": workflows.picture(), "webhook": self.hooks.url}, "/generate") == 202
        assert 429 in await self._send_at_once(1.0, *[0.1] * (PLACES + 3))
        # ComfyUI ends, and is started again. The fault happens only once, so the second time the job completes.
        await self._send({"workflow": workflows.faulty("crash")})

    async def _send(self, body: dict[str, Any], route: str = "/generate/sync") -> int:
        """Send a request to the gateway, and return the status."""
        async with self.http.post(f"http://{self.instance}{route}", json=body) as answer:
            await answer.read()
            return answer.status

    async def _send_at_once(self, *seconds: float) -> list[int]:
        """Send jobs that run for these seconds, and return their statuses."""
        bodies = [{"workflow": workflows.slow(each, steps=2)} for each in seconds]
        return await asyncio.gather(*map(self._send, bodies))

    async def _through_the_router(self, body: dict[str, Any]) -> None:
        """Send a request with Vast's client."""
        async with self.vast.client() as client:
            answer = await (await client.get_endpoint("comfy")).request("/generate/sync", body, timeout=60)
            assert answer["ok"], answer


@asynccontextmanager
async def played_run(folder: Path) -> AsyncIterator[PlayedRun]:
    """Start everything, and yield it once the worker has reported its speed to the router."""
    files = {f"model-{number}.safetensors": safetensors(50_000 + number) for number in (1, 2)}
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(
            serving(**{"cat.png": content(png()), **{name: content(data) for name, data in files.items()}})
        )
        hooks = await stack.enter_async_context(receiver())
        vast = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        port = free_port()
        templates = folder / "templates"
        templates.mkdir()
        for name, data in files.items():
            write_template(templates, origin, name, data)
        environment = {
            "WORKER_GATEWAY_PORT": str(port),
            "WORKER_METRICS_TOKEN": TOKEN,
            "WORKER_STATE": str(folder / "state"),
            "WORKER_VAST_HOST": "127.0.0.1",
            "WORKER_BENCHMARK_RUNS": "1",
            "WORKER_MAX_QUEUE": str(PLACES),
            "WORKER_USD_HOUR": "0.40",
            "WORKER_TEMPLATES": f"shipped,{templates}",
            "WORKER_MODELS_ON_DEMAND": "true",
            "WORKER_FETCH_ALLOW": f"{origin.host}:{origin.port}, {hooks.opened}",
        }
        await spawn("comfy_worker.py", {**await vast.worker_env(1), **environment})
        await vast.record.until(loaded(1), 60)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield PlayedRun(f"127.0.0.1:{port}", http, vast, origin, hooks)


def write_template(folder: Path, origin: Origin, file: str, data: bytes) -> None:
    """Write a template that samples with a model of the origin."""
    name = file.partition(".")[0]
    workflow = workflows.sampling()
    workflow["10"]["inputs"]["ckpt_name"] = file
    workflow["15"]["_meta"] = {"title": "Save"}
    (folder / f"{name}.json").write_text(json.dumps(workflow))
    model = {
        "file": file,
        "folder": "checkpoints",
        "url": origin.url(f"/{file}"),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in model.items()]
    head = ['title = "Sampling"', 'about = "Samples with a small model."', 'outputs = ["Save"]', "[[models]]"]
    (folder / f"{name}.toml").write_text("\n".join([*head, *lines]))
