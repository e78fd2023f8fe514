"""The app comfyapp.py of the repository modal-examples, from a folder outside the project, on the stand-in.

The containers have no comfy-cli: `comfy_cli.py` of this folder starts a worker as the app's ComfyUI.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.simulators.modal.workspace import Workspace, workspace
from worker.engine.process.free_port import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = os.environ.get("MODAL_EXAMPLES", "")
FOUND = sorted(Path(EXAMPLES).rglob("comfyapp.py")) if EXAMPLES else []
PNG = b"\x89PNG"
PORT = re.compile(r"\b(8000|8188)\b")

needs_examples = pytest.mark.skipif(not FOUND, reason="MODAL_EXAMPLES names no folder with comfyapp.py")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def space(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    """A workspace with a copy of the app. Its fixed port and its paths in /root are those of this test."""
    folder, port = tmp_path_factory.mktemp("modal-examples"), str(free_port())
    app, comfy = shutil.copytree(FOUND[0].parent, folder / "app"), folder / "comfy" / "ComfyUI"
    (comfy / "output").mkdir(parents=True)
    text = PORT.sub(port, (app / "comfyapp.py").read_text("utf-8")).replace("/root/comfy/ComfyUI", str(comfy))
    if port not in text:  # an older version leaves the port to comfy-cli
        text = text.replace("comfy launch --background", f"comfy launch --background -- --port {port}")
    (app / "comfyapp.py").write_text(text, "utf-8")
    command = folder / "bin" / "comfy"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("comfy_cli.py")} "$@"\n')
    command.chmod(0o755)
    environ = {"PATH": f"{command.parent}:{os.environ['PATH']}", "COMFY_OUTPUT": str(comfy / "output")}
    async with workspace(folder, app=app / "comfyapp.py", **environ) as made:
        shutil.copy(app / "workflow_api.json", folder)
        yield made


@needs_examples
async def test_the_public_app_returns_a_picture_by_its_method(space: Workspace) -> None:
    """`infer` runs a workflow file in the container, and returns the picture as bytes."""
    name = re.findall(r"""modal\.App\(\s*(?:name=)?["']([\w-]+)""", space.app.read_text("utf-8"))[0]
    file = json.dumps(str(space.folder / "workflow_api.json"))
    code = f"import base64\nresult = base64.b64encode(C().infer.remote({file})).decode()"
    assert base64.b64decode(await space.call(code, name)).startswith(PNG)


@needs_examples
async def test_the_public_app_returns_a_picture_over_http(space: Workspace) -> None:
    """`api` puts a prompt into the workflow, and answers with the picture."""
    body = {"prompt": "a lighthouse at dusk"}
    async with aiohttp.ClientSession() as http, http.post(space.url("api"), json=body) as answer:
        content = await answer.read()
        assert answer.status == 200, content.decode(errors="replace") + space.log
    assert content.startswith(PNG)
