"""`comfy-worker demo --on proxy`: one URL in front of local stand-ins for Vast, RunPod and Modal."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from worker.cli.demo.demo_report import Steps
from worker.cli.demo.single_run import SingleRun, of_pod
from worker.cli.hosting.environment import without_settings
from worker.cli.output.failure import Failure
from worker.errors import StartupError
from worker.settings import environment
from worker.subcommand import worker_command

JOBS = 12
"""Jobs of the demo. Their keys are fixed, so that each backend gets some of them."""
READY_S = 120.0
PROXY_TOML = """
[server]
host = "127.0.0.1"
port = 0
state = "{state}"

[[backends]]
name = "vast"
url = "vast://{vast.endpoint}"
api_url = "{vast.url}"

[[backends]]
name = "runpod"
url = "runpod://{runpod_id}"
api_url = "{runpod_api}"

[[backends]]
name = "modal"
url = "modal://comfy-worker/ComfyUI"
api_url = "{modal.url}"
"""


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """The picture of one job, and the backend that made it."""

    backend: str
    picture: bytes


async def run_on_proxy(steps: Steps, state: Path, out: Path) -> SingleRun:
    """Start three stand-ins and a proxy in front of them, and send plain HTTP requests to it. Raises Failure."""
    from worker.proxy.app import build
    from worker.proxy.config.config_file import read_config

    try:
        async with _stand_ins(steps, state) as (text, keys), build(read_config(text), keys) as proxy:
            steps.done(f"the proxy in front of {', '.join(proxy.slots)}")
            started = time.monotonic()
            async with ClientSession() as http:
                jobs = [_send(http, f"{proxy.url}/generate/sync", number) for number in range(JOBS)]
                answers = await asyncio.gather(*jobs)
            counts = Counter(answer.backend for answer in answers)
            shares = ", ".join(f"{counts[name]} by {name}" for name in proxy.slots)
            seconds = time.monotonic() - started
            steps.done(f"{JOBS} pictures with POST /generate/sync in {seconds:.1f} s: {shares}")
    except StartupError as error:
        raise Failure("not_started", str(error)) from error
    paths = await asyncio.to_thread(_saved, answers, out)
    return SingleRun("Vast, RunPod and Modal (local stand-ins)", "POST /generate/sync to the proxy", paths)


@asynccontextmanager
async def _stand_ins(steps: Steps, state: Path) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """Run a stand-in for each platform, with one worker. Yield the configuration of a proxy, and its keys.

    Raises StartupError.
    """
    from worker.simulators.modal import ContainerOptions
    from worker.simulators.modal import serve as serve_modal
    from worker.simulators.modal.local_app import SECRET, SHIPPED_APP, deploy, worker_environ
    from worker.simulators.runpod import PodOptions, PodScaling
    from worker.simulators.runpod import serve as serve_runpod
    from worker.simulators.vast_router.local_fleet import start_fleet

    environ = without_settings(environment())
    command = ["serve", "--platform", "vast", "--port", "0", "--state", str(state / "vast")]
    scaling = PodScaling(min_workers=1, max_workers=1)
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(
            start_fleet([command], {**environ, "WORKER_BENCHMARK_RUNS": "1"}, logs=state)
        )
        pods = PodOptions(worker_command("serve"), state / "runpod", of_pod, scaling)
        runpod = await stack.enter_async_context(serve_runpod(pods=pods))
        modal = await stack.enter_async_context(serve_modal(ContainerOptions(state / "modal", worker_environ)))
        modal.add_secret(SECRET, {"WORKER_TOKENS": f"demo={secrets.token_hex(16)}"})
        await deploy(modal, SHIPPED_APP, {**environ, "COMFY_WORKER_WEB_SERVER": "0"})
        await fleet.wait_until_ready(READY_S)
        steps.done("local stand-ins for Vast, RunPod and Modal")
        api, _, endpoint = runpod.endpoint_url.rpartition("/")
        text = PROXY_TOML.format(
            state=state / "proxy", vast=fleet.vast, runpod_id=endpoint, runpod_api=api, modal=modal
        )
        yield text, {"VAST_API_KEY": fleet.vast.api_key, "RUNPOD_API_KEY": runpod.api_key}


async def _send(http: ClientSession, url: str, number: int) -> ProxyAnswer:
    """Send one workflow, as a client does that knows nothing but the URL. Raises Failure."""
    image = {"width": 256, "height": 256, "batch_size": 1, "color": 0x2E6F9E + 40 * number}
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "proxy"}},
    }
    headers = {"Idempotency-Key": f"demo-{number}"}
    async with http.post(url, json={"workflow": workflow}, headers=headers) as response:
        answer = await response.json()
        if response.status != 200:
            raise Failure.read(answer)
        return ProxyAnswer(response.headers["X-Comfy-Backend"], base64.b64decode(answer["image"]))


def _saved(answers: list[ProxyAnswer], out: Path) -> list[Path]:
    """Write the first picture of each backend, and return the paths."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = {answer.backend: answer.picture for answer in reversed(answers)}
    paths = [out / f"proxy-{name}.png" for name in sorted(pictures)]
    for path in paths:
        path.write_bytes(pictures[path.stem.removeprefix("proxy-")])
    return paths
