"""The programs in ComfyUI's folder `script_examples`, on a worker with a real ComfyUI.

They run unchanged but for the address, the model, and the size and steps of the picture. `make real` runs this file
with REAL_COMFYUI, a folder with main.py and .venv/, and COMFYUI_CLIENTS (see tests/comfy_api/test_public_clients.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.comfy_api.client import ComfyClient
from worker.app import App, build
from worker.settings import Settings

COMFYUI, CLIENTS = os.environ.get("REAL_COMFYUI", ""), os.environ.get("COMFYUI_CLIENTS", "")
pytestmark = [
    pytest.mark.skipif(not COMFYUI, reason="needs a real ComfyUI: make real COMFYUI=FOLDER"),
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]
MODEL, SMALLER = "v1-5-pruned-emaonly.safetensors", {'"steps": 20': '"steps": 2', " 512": " 64"}
RUN = """
import json, runpy, sys
images = runpy.run_path(sys.argv[1]).get("images", {})
print(json.dumps({node: [image[:4].hex() for image in found] for node, found in images.items()}))
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """A worker that starts the real ComfyUI and serves ComfyUI's API without tokens."""
    settings = Settings.of(
        comfyui=COMFYUI, comfyui_args="--cpu", port=0, state=tmp_path_factory.mktemp("real"), comfy_api=True
    )
    async with build(settings) as running:
        await running.ready()
        yield running


async def example(app: App, name: str, folder: Path) -> Path:
    """Return a copy of an example for this worker, with the first checkpoint that its ComfyUI has."""
    async with aiohttp.ClientSession() as http:
        _, checkpoints = await ComfyClient(http, app.url).get("/models/checkpoints")
    if not checkpoints:
        pytest.skip("needs a checkpoint in models/checkpoints")
    text = (Path(COMFYUI) / "script_examples" / name).read_text("utf-8")
    address = app.url.removeprefix("http://")
    for old, new in {"127.0.0.1:8188": address, MODEL: sorted(checkpoints)[-1], **SMALLER}.items():
        text = text.replace(old, new)
    copy = folder / name
    copy.write_text(text, "utf-8")
    return copy


async def test_basic_api_example(app: App, tmp_path: Path) -> None:
    """The program that only posts its prompt leaves an entry in the history."""
    copy = await example(app, "basic_api_example.py", tmp_path)
    await asyncio.to_thread(runpy.run_path, str(copy))
    async with aiohttp.ClientSession() as http:
        client = ComfyClient(http, app.url)
        [item] = [item for items in (await client.get("/queue"))[1].values() for item in items]
        assert (await client.ended(item[1]))["status"]["status_str"] == "success"


@pytest.mark.skipif(not CLIENTS, reason="needs websocket-client in the folder COMFYUI_CLIENTS")
@pytest.mark.parametrize(
    ("name", "node"),
    [("websockets_api_example.py", "9"), ("websockets_api_example_ws_images.py", "save_image_websocket_node")],
)
async def test_websocket_examples(app: App, tmp_path: Path, name: str, node: str) -> None:
    """The programs get their image from /view, and from a binary frame."""
    copy = await example(app, name, tmp_path)
    process = await asyncio.create_subprocess_exec(
        f"{CLIENTS}/bin/python", "-c", RUN, str(copy), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    assert json.loads(output) == {node: [b"\x89PNG".hex()]}
