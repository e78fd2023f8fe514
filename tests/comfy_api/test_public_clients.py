"""Public clients of ComfyUI work against the worker unchanged.

They are not in the project's lock. COMFYUI_CLIENTS names a folder with them:

    python -m venv FOLDER
    FOLDER/bin/pip install comfy-api-simplified==1.6.0 websocket-client==1.9.2
    npm install --prefix FOLDER @stable-canvas/comfyui-client@1.5.9 ws@8
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.conftest import worker
from tests.docs.pages import ROOT, blocks_of
from tests.engines import EngineHandle

CLIENTS = os.environ.get("COMFYUI_CLIENTS", "")
SERVER = "http://127.0.0.1:18288"
pytestmark = pytest.mark.asyncio(loop_scope="module")


def needs(path: str) -> pytest.MarkDecorator:
    """Skip a test unless the folder of clients has this file."""
    present = bool(CLIENTS) and (Path(CLIENTS) / path).exists()
    return pytest.mark.skipif(not present, reason=f"needs {path} in the folder COMFYUI_CLIENTS")


SIMPLIFIED = """
import json, sys
from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

def workflow(**nodes):
    with open("workflow.json", "w") as file:
        json.dump(nodes, file)
    return ComfyWorkflowWrapper("workflow.json")

def node(class_type, title, **inputs):
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}

save = node("SaveImage", "Save", images=["1", 0], filename_prefix="simplified")
empty = node("EmptyImage", "Empty", width=64, height=64, batch_size=1, color=77)
api, first = ComfyApiWrapper(sys.argv[1] + "/"), workflow(**{"1": empty, "2": save})
first.set_node_param("Empty", "width", 80)
[(name, data)] = api.queue_and_wait_images(first, output_node_title="Save").items()
open("made.png", "wb").write(data)
sent = api.upload_image("made.png")
load = node("LoadImage", "Load", image=sent["subfolder"] + "/" + sent["name"])
[(_, again)] = api.queue_and_wait_images(workflow(**{"1": load, "2": save}), output_node_title="Save").items()
print(name, data[:4] == again[:4])
"""
STABLE_CANVAS = """
import { Client } from "@stable-canvas/comfyui-client";
import WebSocket from "ws";
const client = new Client({ api_host: process.argv[2].replace("http://", ""), clientId: "stable-canvas", WebSocket });
await client.connect();
const seen = [];
for (const kind of ["execution_start", "executed"]) client.on(kind, () => seen.push(kind));
const result = await client.enqueue({
  "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: 78 } },
  "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "canvas" } },
});
const image = await (await fetch(result.images[0].data)).arrayBuffer();
const refused = await client.enqueue({ "1": { class_type: "Nope", inputs: {} } }).catch(() => "refused");
console.log(image.byteLength > 100, seen[0], seen.includes("executed"), refused);
client.close();
process.exit(0);
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A worker without tokens, because most public clients send none."""
    async with worker(engine, tmp_path_factory.mktemp("public"), comfy_api=True, tokens=SecretStr("")) as client:
        yield client.app.url


async def output_of(*command: str, cwd: Path, script: str = "") -> str:
    """Run a program to its end and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate(script.encode())
    assert process.returncode == 0, errors.decode()[-2000:]
    return output.decode()


async def test_the_example_of_the_docs_runs(url: str, tmp_path: Path) -> None:
    """The program at the beginning of docs/comfyui-api.md prints the file of its prompt."""
    [program] = [block.text for block in blocks_of(ROOT / "docs" / "comfyui-api.md") if block.language == "python"]
    assert SERVER in program
    printed = await output_of(sys.executable, "-", cwd=tmp_path, script=program.replace(SERVER, url))
    assert printed.startswith("example_0")
    assert printed.endswith(" bytes\n")


@needs("bin/python")
async def test_comfy_api_simplified(url: str, tmp_path: Path) -> None:
    """It runs a prompt over its WebSocket, reads the image, uploads it, and uses it in another prompt."""
    printed = await output_of(f"{CLIENTS}/bin/python", "-", url, cwd=tmp_path, script=SIMPLIFIED)
    assert printed.startswith("simplified_0")
    assert printed.endswith(" True\n")


@needs("node_modules/@stable-canvas/comfyui-client")
async def test_stable_canvas(url: str) -> None:
    """It gets the frames of its prompt and the image, and an error for a class that does not exist."""
    command = ("node", "--input-type=module", "-", url)
    printed = await output_of(*command, cwd=Path(CLIENTS), script=STABLE_CANVAS)
    assert printed == "true execution_start true refused\n"
