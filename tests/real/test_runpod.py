"""Jobs of RunPod's queue on a worker with a real ComfyUI, through the stand-in for RunPod.

`make real` runs this file with REAL_COMFYUI, a folder with main.py and .venv/.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.conftest import bearer
from tests.handlers.apps import write_app
from worker.platforms.registry import choose
from worker.settings import Settings
from worker.simulators.runpod import serve

COMFYUI = os.environ.get("REAL_COMFYUI", "")
pytestmark = [
    pytest.mark.skipif(not COMFYUI, reason="needs a real ComfyUI: make real COMFYUI=FOLDER"),
    pytest.mark.timeout(900),
]
HANDLER = """
from utils.comfyui import execute_workflow, process_image_result


def run(workflow):
    return process_image_result(execute_workflow(workflow))
"""


def gray(value: int) -> dict[str, Any]:
    """Return a workflow with a picture of one color, and a value that no earlier run has cached."""
    image = {"width": 40, "height": 24, "batch_size": 1, "color": value * 0x10101}
    save = {"images": ["1", 0], "filename_prefix": "runpod"}
    return {"1": {"class_type": "EmptyImage", "inputs": image}, "2": {"class_type": "SaveImage", "inputs": save}}


def color_of(data: str) -> object:
    """Return the color of a picture in base64."""
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").getpixel((0, 0))


async def test_jobs_run_on_a_real_comfyui(tmp_path: Path) -> None:
    """A workflow, an invalid one, and a call of a handler end as clients of RunPod expect."""
    options = {"comfyui": COMFYUI, "comfyui_args": "--cpu", "port": 0, "state": tmp_path / "state"}
    settings = Settings.of(**options, handlers=write_app(tmp_path / "app", run=HANDLER), handlers_port=0, drain_s=1.0)
    async with serve() as runpod, aiohttp.ClientSession(headers=bearer(runpod.api_key)) as http:
        environ = runpod.worker_environ("pod-1")
        serving = asyncio.create_task(choose("auto", environ).platform.serve(settings, environ))

        async def call(path: str, body: object) -> dict[str, Any]:
            async with http.post(f"{runpod.endpoint_url}/{path}", json=body) as response:
                found: dict[str, Any] = await response.json()
                return found

        try:
            first = await call("runsync?wait=300000", {"input": {"workflow": gray(10)}})
            assert first["status"] == "COMPLETED", first
            assert color_of(first["output"]["images"][0]["data"]) == (10, 10, 10)
            wrong = {**gray(11), "1": {"class_type": "EmptyImage", "inputs": {"width": "wide"}}}
            failed = await call("runsync", {"input": {"workflow": wrong}})
            assert (failed["status"], failed["output"]["error_info"]["code"]) == ("FAILED", "invalid_workflow"), failed
            handled = await call("runsync", {"input": {"handler": "run", "arguments": {"workflow": gray(12)}}})
            assert color_of(handled["output"]["image"]) == (12, 12, 12), handled
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
