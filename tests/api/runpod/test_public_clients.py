"""RunPod's own clients, unchanged, run jobs on the worker's own port."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.simulators.runpod.sdk.programs import MODULES, has_npm_client, run_program, sdk_python, sdk_versions
from tests.workflows import picture, slow

KEY = "rpa-key-of-a-client-0123456789"
HERE = Path(__file__).parent


@pytest.mark.parametrize("version", sdk_versions())
async def test_the_python_client(engine: EngineHandle, version: str, tmp_path: Path) -> None:
    """The synchronous and the asynchronous client run, follow and cancel jobs, with the worker's token as key."""
    async with worker(engine, tmp_path / "state", tokens=SecretStr(f"app={KEY}")) as client:
        environ = {
            **{"PATH": os.defpath, "HOME": str(tmp_path), "RUNPOD_API_KEY": KEY},
            "RUNPOD_ENDPOINT_BASE_URL": f"{client.app.url}/v2",
        }
        workflows = json.dumps(picture()), json.dumps(slow(60, steps=600))
        results = await run_program(
            [str(sdk_python(version)), str(HERE / "python_client.py"), *workflows], environ, tmp_path
        )
    failed = results.pop("failed")  # the client hides `error`, and returns the output beside it
    assert failed["error_info"]["code"] == "invalid_workflow"
    assert results == {
        "waited": ["base64"],
        "followed": ["base64"],
        "running": "IN_PROGRESS",
        "cancelled": "CANCELLED",
        "health": ["jobs", "workers"],
        "purged": {"removed": 0, "status": "completed"},
        "asynchronous": ["base64"],
    }


@pytest.mark.skipif(not has_npm_client(), reason="not installed: `npm install --no-save runpod-sdk@1.1.2`")
async def test_the_npm_client(engine: EngineHandle, tmp_path: Path) -> None:
    """It waits, asks with status-sync, and gets worker-comfyui's message for an empty input."""
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "js_client.mjs", tmp_path)
    async with worker(engine, tmp_path / "state", tokens=SecretStr(f"app={KEY}")) as client:
        command = ["node", "js_client.mjs", f"{client.app.url}/v2", KEY, json.dumps(picture()), json.dumps(slow(2, 20))]
        results = await run_program(command, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, tmp_path)
    assert "404" in results.pop("missing")
    assert results == {
        "waited": ["base64"],
        "unfinished": "IN_PROGRESS",
        "slow": ["base64"],
        "followed": ["base64"],
        "failed": ["FAILED", "Missing 'workflow' parameter"],
        "health": ["jobs", "workers"],
    }
