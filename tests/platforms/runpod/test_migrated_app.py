"""The sample Modal app after its move, on a queue-based endpoint: RunPod's API calls its handlers."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.conftest import ROOT, bearer
from tests.engines import EngineHandle
from tests.platforms.runpod.workers import settings_for
from worker.engine.process.free_port import free_port
from worker.platforms.registry import choose
from worker.simulators.runpod import serve

SAMPLE, MIGRATED = ROOT / "examples" / "modal-app", ROOT / "examples" / "modal-app-migrated"
PNG = "iVBORw0KGgo"
"""Beginning of a PNG file in base64."""


async def test_the_handlers_of_the_sample_app_answer_unchanged(engine: EngineHandle, tmp_path: Path) -> None:
    """Their files are byte for byte those before the move. Only the port of ComfyUI is that of this test."""
    app, port = shutil.copytree(MIGRATED, tmp_path / "app"), free_port()
    utilities = app / "utils" / "comfyui.py"
    utilities.write_text(utilities.read_text().replace("8000", str(port)))
    files = sorted((SAMPLE / "handlers").glob("*.py"))
    assert [(app / "handlers" / path.name).read_bytes() for path in files] == [path.read_bytes() for path in files]
    async with serve() as runpod, aiohttp.ClientSession(headers=bearer(runpod.api_key)) as http:
        environ = runpod.worker_environ("pod-1")
        settings = settings_for(engine, tmp_path / "state", handlers=app, handlers_port=port, drain_s=1.0)
        serving = asyncio.create_task(choose("auto", environ).platform.serve(settings, environ))
        try:
            arguments = {"prompt": "a lighthouse at dusk", "width": 64, "height": 64}
            request = {"input": {"handler": "generate_flux_image", "arguments": arguments}}
            async with http.post(f"{runpod.endpoint_url}/runsync?wait=60000", json=request) as response:
                answer = await response.json()
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
    assert answer["status"] == "COMPLETED", answer
    assert answer["output"]["image"].startswith(PNG)
