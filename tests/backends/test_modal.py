"""The backend of Modal: apps without the method `request`, and a Modal that cannot be reached."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import pytest

from tests.simulators.modal.workspace import workspace
from tests.workflows import picture
from worker.backends.base import JobBody, RemoteState
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.errors import BackendRefused, StartupError
from worker.platforms.modal.shipped_app import SHIPPED_APP

UNKNOWN_CLASS = {"1": {"class_type": "NoSuchNode", "inputs": {}}}


async def test_an_app_that_was_deployed_before(tmp_path: Path) -> None:
    """Its method `run_workflow` gets workflows in the native dialect. Anything else is refused, with the cure."""
    app = tmp_path / "modal_app.py"
    method = "    @modal.method()\n    async def request("
    source = SHIPPED_APP.read_text("utf-8")
    assert method in source
    app.write_text(source.replace(method, "    async def request("))
    async with workspace(tmp_path / "modal", app=app) as space:
        settings = BackendSettings("mine", "modal://comfy-worker/ComfyUI", api_url=space.modal.url)
        async with open_backend(settings) as backend, asyncio.timeout(60):
            for workflow, expected in ((picture(), 200), (UNKNOWN_CLASS, 422)):
                body = json.dumps({"workflow": workflow}).encode()
                reference = await backend.submit(JobBody(uuid.uuid4().hex, body))
                async with backend.result(reference) as response:
                    assert response.status == expected, await response.read()
                is_done = expected == 200
                state = RemoteState.SUCCEEDED if is_done else RemoteState.FAILED
                assert (await backend.status(reference)).state is state
            other = JobBody("key", json.dumps({"input": {"workflow": picture()}}).encode())
            with pytest.raises(BackendRefused, match="the method `request`") as raised:
                await backend.submit(other)
            assert raised.value.elsewhere


async def test_wrong_addresses() -> None:
    """The message names the form."""
    for url in ("modal://app", "modal://app/Class/method", "modal://app/Class?x=1"):
        with pytest.raises(StartupError):
            async with open_backend(BackendSettings("mine", url)):
                pass
