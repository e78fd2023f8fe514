"""ComfyUI's API on a port for handlers: without tokens, for one caller, and only for the jobs of one parent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.comfy_api.client import ComfyClient
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.auth import LOCAL
from worker.api.comfy.server import ComfyServer
from worker.errors import CannotListen, Unauthorized
from worker.intake import Caller

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING = """
import time


def wait():
    while True:
        time.sleep(0.05)
"""
APP = Path(__file__).parents[2] / "examples" / "modal-app"
CALL = """
import json, sys
from utils import comfyui
comfyui._port = int(sys.argv[1])
from PIL import Image
name = comfyui.upload_image(Image.new("RGB", (20, 10), "teal"), "mine.png")
graph = {
    "1": {"class_type": "LoadImage", "inputs": {"image": name}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}},
}
result = comfyui.execute_comfyui_workflow(graph)
print(json.dumps({"files": [[file["node"], len(file["data"])] for file in result["files"]]}))
try:
    comfyui.execute_workflow({**graph, "1": {"class_type": "LoadImage", "inputs": {}}})
except comfyui.ComfyUIError as error:
    print(error)
"""


def identify(request: web.Request) -> Caller:
    """Return the caller of a handler's request: its parent is in a header of the test."""
    if request.headers.get("X-Parent") == "unknown":
        raise Unauthorized("the handler is not known")
    return Caller(LOCAL, parent=request.headers.get("X-Parent"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def handler_worker(
    engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Client, int]]:
    """A worker with a handler that does not end, and its port for handlers."""
    folder = tmp_path_factory.mktemp("handlers")
    (folder / "app" / "handlers").mkdir(parents=True)
    (folder / "app" / "handlers" / "waiting.py").write_text(WAITING)
    options = {"handlers": folder / "app", "handlers_port": 0, "handlers_processes": 2}
    async with (
        worker(engine, folder / "state", drain_s=0.0, **options) as client,
        ComfyServer(client.app.services, identify).listening("127.0.0.1", 0) as port,
    ):
        yield client, port


def of_parent(port: int, session: aiohttp.ClientSession) -> ComfyClient:
    return ComfyClient(session, f"http://127.0.0.1:{port}")


async def running_call(client: Client) -> str:
    """Start a call of the handler, and return its id."""
    url, headers = f"{client.app.url}/handlers/wait", {"Prefer": "respond-async"}
    async with client.http.post(url, json={}, headers=headers) as response:
        assert response.status == 202
        call: str = (await response.json())["id"]
        return call


async def test_jobs_have_their_parent(handler_worker: tuple[Client, int]) -> None:
    """A prompt of a handler is a job of the principal with the parent's id, which other handlers do not see."""
    client, port = handler_worker
    calls = await running_call(client), await running_call(client)
    one, two = (aiohttp.ClientSession(headers={"X-Parent": call}) for call in calls)
    async with one, two:
        first, second = of_parent(port, one), of_parent(port, two)
        prompt_id = await first.submit(picture())
        entry = await first.ended(prompt_id)
        assert entry["status"]["status_str"] == "success"
        assert (await second.get(f"/history/{prompt_id}"))[1] == {}
        [image] = entry["outputs"]["2"]["images"]
        assert (await second.get("/view", **image))[0] == 404
        assert (await first.get("/view", **image))[0] == 200
    assert client.app.manager.find_owned(prompt_id, LOCAL).request.parent == calls[0]


async def test_a_call_that_does_not_run_sends_no_prompts(handler_worker: tuple[Client, int]) -> None:
    """Its prompts would have no owner who could cancel them."""
    _, port = handler_worker
    async with aiohttp.ClientSession(headers={"X-Parent": "no-call"}) as session:
        status, body = await of_parent(port, session).post("/prompt", {"prompt": picture()})
    assert (status, body["error"]["type"]) == (403, "forbidden")


async def test_an_error_of_identify_is_the_response(handler_worker: tuple[Client, int]) -> None:
    """A caller that `identify` refuses gets its error."""
    _, port = handler_worker
    async with aiohttp.ClientSession(headers={"X-Parent": "unknown"}) as session:
        status, body = await of_parent(port, session).get("/queue")
    assert (status, body["error"]["type"]) == (401, "unauthorized")


async def test_a_page_in_a_browser_cannot_use_it(handler_worker: tuple[Client, int]) -> None:
    """A request with the origin of a page is refused, because the port has no tokens."""
    _, port = handler_worker
    async with aiohttp.ClientSession(headers={"Origin": "https://evil.example"}) as session:
        assert (await of_parent(port, session).get("/history"))[0] == 403


async def test_a_port_in_use_is_an_error(handler_worker: tuple[Client, int]) -> None:
    """The error names the address."""
    client, port = handler_worker
    with pytest.raises(CannotListen, match=str(port)):
        async with ComfyServer(client.app.services, identify).listening("127.0.0.1", port):
            pass


async def test_the_apps_own_utilities_work_unchanged(handler_worker: tuple[Client, int]) -> None:
    """`utils/comfyui.py` of the sample app uploads a picture, runs a prompt, reads its files, and reports errors."""
    _, port = handler_worker
    environment = {**os.environ, "PYTHONPATH": str(APP)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CALL, str(port)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    result, refusal = output.decode().splitlines()
    assert '"files": [["2", ' in result
    assert refusal.startswith("node 1: ")
