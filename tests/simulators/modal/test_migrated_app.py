"""The sample app after its move, deployed by Modal's own command and called by Modal's own client."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import ROOT
from tests.simulators.modal.workspace import Workspace, workspace
from worker.engine.process.free_port import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLE, MIGRATED = ROOT / "examples" / "modal-app", ROOT / "examples" / "modal-app-migrated"
PNG = "iVBORw0KGgo"
"""Beginning of a PNG file in base64."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def space(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    """A workspace with the app, whose utilities use a free port. A slow node takes longer than a test."""
    folder, port = tmp_path_factory.mktemp("modal"), free_port()
    app = shutil.copytree(MIGRATED, folder / "migrated")
    for path in (app / "app.py", app / "utils" / "comfyui.py"):
        path.write_text(path.read_text().replace("8000", str(port)))
    options: dict[str, Any] = {"app": app / "app.py", "secrets": ("huggingface-secret",)}
    async with workspace(folder, **options, WORKER_FAULT="slow@ImageInvert;seconds=300") as made:
        yield made


async def call(space: Workspace, code: str) -> Any:
    return await space.call(code, "image-generation")


async def test_the_handler_of_the_sample_app_makes_a_picture(space: Workspace) -> None:
    """Its file is byte for byte the one before the move. The caller has the code of the sample's README."""
    file = Path("handlers") / "flux.py"
    assert (space.app.parent / file).read_bytes() == (SAMPLE / file).read_bytes()
    code = 'result = C().generate_flux.remote(prompt="a lighthouse at dusk", width=64, height=64)'
    assert (await call(space, code))["image"].startswith(PNG)


async def test_an_error_of_a_handler_reaches_the_caller(space: Workspace) -> None:
    """It is a RuntimeError with the message of the exception, and the call is not repeated."""
    code = """
try:
    C().run_workflow.remote(workflow={"1": {"class_type": "NoSuchClass", "inputs": {}}})
except RuntimeError as error:
    result = str(error)
"""
    calls = len(space.modal.state.calls)
    message = await call(space, code)
    assert message.startswith("handler_failed: ")
    assert "NoSuchClass" in message
    assert len(space.modal.state.calls) == calls + 1


async def test_cancelling_a_call_harms_no_neighbour(space: Workspace) -> None:
    """The call that waits behind the cancelled one gets the process of handlers, and its result."""
    code = """
first = C().run_workflow.spawn(workflow=given["slow"])
second = C().generate_flux.spawn(prompt="a fox", width=64, height=64)
try:
    first.get(timeout=3)
except TimeoutError:
    first.cancel()
result = second.get(timeout=50)["image"]
"""
    assert (await call(space, code)).startswith(PNG)
