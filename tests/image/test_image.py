"""A container of the image as a fleet runs it: read-only, without root and capabilities, with TLS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from image.standin import build
from image.toolbox import Toolbox
from tests import workflows
from tests.platforms.conftest import loaded
from worker.engine.process.free_port import free_port
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = [pytest.mark.image, pytest.mark.tools("buildah", "podman", "runc"), pytest.mark.timeout(300)]

STATE = "/var/lib/comfy-worker"


@contextmanager
def container(engine: docker.DockerClient, image: str, environment: Mapping[str, str]) -> Iterator[Container]:
    """Run a container while the context lasts, and print its log."""
    running = engine.containers.run(
        image,
        detach=True,
        environment=dict(environment),
        network_mode="host",
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - in the container
        volumes=[STATE],
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    try:
        yield running
    finally:
        print(running.logs().decode())
        running.remove(force=True, v=True)


@asynccontextmanager
async def on_vast(engine: docker.DockerClient, image: str) -> AsyncIterator[tuple[Container, LocalVast, Any]]:
    """Run a container with Vast's variables and a simulated Vast, and yield it with the SDK's endpoint."""
    async with vast_router.serve() as vast:
        environment = await vast.worker_env(1)
        environment |= {
            "USE_SSL": "true",
            "WORKER_SIGN_ADDR": vast.url,
            "WORKER_VAST_HOST": "127.0.0.1",
            "WORKER_GATEWAY_PORT": str(free_port()),
            "WORKER_BENCHMARK_RUNS": "1",
        }
        with container(engine, image, environment) as running:
            await vast.record.until(loaded(1))
            async with vast.client() as client:
                yield running, vast, await client.get_endpoint(vast.endpoint)


def run(container: Container, *command: str) -> tuple[int, str]:
    """Return the exit code and the output of a command in the container."""
    code, output = container.exec_run(list(command))
    return code, output.decode()


async def test_a_job_through_the_router_brings_a_picture(
    engine: docker.DockerClient, image: str, toolbox: Toolbox
) -> None:
    """A job through the router returns an image, the container is healthy, and it drains on stop."""
    async with on_vast(engine, image) as (running, vast, endpoint):
        assert vast.record.statuses[-1].url.startswith("https://")
        answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture(color=4242)}, cost=1)
        assert answer["ok"], answer
        assert base64.b64decode(answer["response"]["image"]).startswith(b"\x89PNG")

        toolbox.podman("healthcheck", "run", running.id)
        running.reload()
        assert running.attrs["State"]["Health"]["Status"] == "healthy"

        slow = asyncio.ensure_future(endpoint.request("/generate/sync", {"workflow": workflows.slow(3)}, cost=1))
        await vast.record.until(lambda record: record.statuses[-1].cur_load > 0)
        stopping = asyncio.create_task(asyncio.to_thread(running.stop, timeout=30))
        assert (await slow)["ok"], "the job that ran when SIGTERM came"
        await stopping
        assert (await asyncio.to_thread(running.wait))["StatusCode"] == 0


def test_it_runs_as_nobody_and_writes_in_one_place(engine: docker.DockerClient, image: str) -> None:
    """The container has no root and no capability, and writes only to its state and /tmp."""
    with container(engine, image, {"WORKER_GATEWAY_PORT": str(free_port())}) as running:
        _, ids = run(running, "id", "-u")
        assert ids.strip() == "10001"
        _, status = run(running, "cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        code, _ = run(running, "touch", "/opt/ComfyUI/here")
        assert code != 0
        code, mine = run(running, "find", STATE, "-maxdepth", "0", "-user", "worker", "-writable")
        assert (code, mine.strip()) == (0, STATE)


def test_nothing_is_shipped_that_only_the_build_needs(toolbox: Toolbox, image: str) -> None:
    """The image has no compiler, git, pip, cache, certificate or score."""
    look = """
        for program in gcc cc git pip pip3 make; do command -v "$program"; done
        find /root/.cache /var/lib/apt/lists /build -type f 2>/dev/null
        find / -xdev -name .has_benchmark -o -xdev -name instance.key -type f -o -xdev -path '*/site-packages/pip'
        true
    """
    found = toolbox.podman("run", "--rm", "--user=0", "--no-healthcheck", "--entrypoint=sh", image, "-c", look)
    assert found.split() == []


def test_the_image_describes_itself(toolbox: Toolbox, image: str) -> None:
    """The image has a bill of materials, a catalog of node classes, and labels."""
    cat = ("run", "--rm", "--no-healthcheck", "--entrypoint=cat", image)
    bill = json.loads(toolbox.podman(*cat, "/opt/comfy-worker/share/sbom.cdx.json"))
    names = {component["name"] for component in bill["components"]}
    assert {"ComfyUI", "RES4LYF", "ControlAltAI-Nodes", "vastai", "aiohttp", "tini"} <= names
    labels = json.loads(toolbox.podman("image", "inspect", image))[0]["Labels"]
    assert labels["org.opencontainers.image.title"] == "comfy-worker"


def test_an_argument_counts_whatever_is_cached(toolbox: Toolbox, image: str) -> None:
    """Another revision or user changes label, score and user in spite of the cache."""
    name, _ = build(toolbox, f"{image}-root", REVISION="abc", RUN_AS="root")
    config = json.loads(toolbox.podman("image", "inspect", name))[0]["Config"]
    assert (config["User"], config["Labels"]["org.opencontainers.image.revision"]) == ("root", "abc")
    assert "WORKER_IMAGE=abc" in config["Env"]
