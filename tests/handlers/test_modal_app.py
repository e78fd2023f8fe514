"""The handlers of examples/modal-app on a worker, with the app's own utilities and with those of the worker."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import ROOT, Client, bearer, worker
from tests.engines import EngineHandle
from tests.workflows import picture, slow
from worker.engine.process.free_port import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = ROOT / "examples" / "modal-app"
PORTS = '''
"""Handlers that take the port of ComfyUI's API."""

from utils.comfyui import execute_workflow


def run_on_port(workflow, port):
    return len(execute_workflow(workflow, port=port)["files"])
'''


def copied_app(folder: Path, port: int, *, own_utilities: bool) -> Path:
    """Copy the app, with its own utilities at this port, or without any."""
    app = folder / "app"
    shutil.copytree(APP, app)
    (app / "handlers" / "ports.py").write_text(PORTS)
    if own_utilities:
        module = app / "utils" / "comfyui.py"
        module.write_text(module.read_text().replace("_port = 8000", f"_port = {port}"))
    else:
        shutil.rmtree(app / "utils")
    return app


@asynccontextmanager
async def running_app(
    engine: EngineHandle, folder: Path, *, own_utilities: bool, processes: int = 1
) -> AsyncIterator[Client]:
    """Run a worker with the app."""
    port = free_port()
    app = copied_app(folder, port, own_utilities=own_utilities)
    ports = {"handlers_port": port if processes == 1 else 0, "handlers_processes": processes}
    async with worker(engine, folder / "state", handlers=app, **ports) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["own", "worker"])
async def client(
    request: pytest.FixtureRequest, engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    """A worker with the app, with each kind of utilities."""
    own_utilities = request.param == "own"
    async with running_app(engine, tmp_path_factory.mktemp("app"), own_utilities=own_utilities) as found:
        yield found


async def call(client: Client, name: str, /, **arguments: object) -> Any:
    status, body = await client.post(f"/handlers/{name}", arguments)
    assert status == 200, body
    return body


def png(width: int = 32, height: int = 24) -> str:
    """Return a picture as base64."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode()


def size(text: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(text))).size


async def test_the_seven_handlers_are_listed(client: Client) -> None:
    """All public functions of the app are served."""
    _, listed = await client.get("/handlers")
    assert listed["problems"] == []
    assert {handler["name"] for handler in listed["handlers"]} == {
        *("generate_flux_image", "generate_instantid_image", "generate_lora_image", "upscale_seedvr2_image"),
        *("generate_wan2_video", "run_custom_workflow", "generate_denrisi_image", "run_on_port"),
    }


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("generate_flux_image", {}),
        ("generate_lora_image", {"lora_name": "watercolor"}),
        ("generate_instantid_image", {"face_image": "data:image/png;base64," + png()}),
        ("generate_denrisi_image", {}),
    ],
)
async def test_a_handler_returns_an_image(client: Client, name: str, arguments: dict[str, object]) -> None:
    """Each handler of images returns one of the wanted size."""
    found = await call(client, name, prompt="a lighthouse", width=64, height=48, seed=7, **arguments)
    assert size(found["image"]) == (64, 48)
    assert found["images"] == [found["image"]]


async def test_a_picture_is_enlarged(client: Client) -> None:
    """SeedVR2 returns the picture that it was given in its larger size."""
    assert size((await call(client, "upscale_seedvr2_image", image=png(), scale=2.0))["image"]) == (64, 48)


async def test_a_video_comes_back(client: Client) -> None:
    """Wan 2.2 returns an MP4 file."""
    found = await call(client, "generate_wan2_video", prompt="a fox", seconds=1, width=64, height=64)
    assert base64.b64decode(found["video"])[4:8] == b"ftyp"


async def test_a_custom_workflow_gets_its_pictures(client: Client) -> None:
    """A workflow of the caller reads the pictures that came with it."""
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "mine.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}},
    }
    found = await call(client, "run_custom_workflow", workflow=workflow, images={"mine.png": png(20, 10)})
    assert size(found["image"]) == (20, 10)


async def test_a_refused_workflow_is_an_error_with_the_reason(client: Client) -> None:
    """The handler fails with the app's own error, which has ComfyUI's message."""
    status, body = await client.post("/handlers/run_custom_workflow", {"workflow": picture(width=0)})
    assert (status, body["error"]["code"]) == (422, "handler_failed")
    assert "ComfyUIError: node 1: Value 0 smaller than min" in body["error"]["message"]


async def test_the_progress_of_a_call_is_that_of_its_prompts(client: Client) -> None:
    """The events of the call have the nodes of its prompt, and its state names the running one."""
    _, job = await client.post("/handlers/run_custom_workflow", {"workflow": slow(0.5)}, Prefer="respond-async")
    async with asyncio.timeout(60):
        while True:
            status, state = await client.get(f"/jobs/{job['id']}", job["token"])
            assert status == 202
            if state["node"] is not None and state["node"]["title"] == "Pause":
                break
    await client.state(job, "completed")
    async with client.http.get(f"{client.app.url}/jobs/{job['id']}/events", headers=bearer(job["token"])) as stream:
        text = await stream.text()
    assert '"class_type":"EmbeddedSleep"' in text
    assert '"class_type":"SaveImage"' in text


async def test_a_cancelled_call_takes_its_prompts_along(client: Client) -> None:
    """DELETE cancels the prompt of the call, and the next call runs."""
    _, job = await client.post("/handlers/run_custom_workflow", {"workflow": slow(60, 600)}, Prefer="respond-async")
    async with asyncio.timeout(60):
        while (await client.get(f"/jobs/{job['id']}", job["token"]))[1]["node"] is None:
            await asyncio.sleep(0.01)
    status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
    assert (status, body["cancelled"]) == (200, True)
    assert (await call(client, "run_custom_workflow", workflow=picture()))["image"]
    async with asyncio.timeout(60):
        await client.app.manager.wait_until_idle()


async def test_the_work_of_a_handler_is_learned_from_its_prompts(client: Client) -> None:
    """At its end a call has the units of its prompts, and the next one is expected to need as many."""
    manager, units = client.app.manager, client.app.services.handlers.units
    numbers = {"width": 72, "height": 40, "steps": 3}
    _, job = await client.post(
        "/handlers/generate_flux_image", {"prompt": "x", "seed": 5, **numbers}, Prefer="respond-async"
    )
    await client.state(job, "completed")
    call = manager.find(job["id"], job["token"])
    (prompt,) = manager.job_index.children_of(call)
    assert call.workload == prompt.workload > 0
    assert units.expected("generate_flux_image", {"seed": 6, **numbers}) == prompt.workload
    assert units.expected("unknown", numbers) == 0
    assert manager.admission.load.workload == 0


@pytest.mark.parametrize("own_utilities", [True, False])
async def test_two_calls_run_at_once(engine: EngineHandle, tmp_path: Path, own_utilities: bool) -> None:
    """With two processes, the cancelled call does not affect the other one."""
    async with running_app(engine, tmp_path, own_utilities=own_utilities, processes=2) as client:
        _, job = await client.post("/handlers/run_on_port", {"workflow": slow(60, 600)}, Prefer="respond-async")
        async with asyncio.timeout(60):
            while (await client.get(f"/jobs/{job['id']}", job["token"]))[1]["node"] is None:
                await asyncio.sleep(0.01)
        other = asyncio.create_task(call(client, "run_on_port", workflow=picture()))
        pool = client.app.services.handlers.pool
        async with asyncio.timeout(60):
            while not all(map(pool.running, pool.names)):
                await asyncio.sleep(0)
        await client.delete(f"/jobs/{job['id']}", job["token"])
        assert await other == 1
