"""RunPod's own clients, unchanged, run jobs on the worker's own port."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.npm import MODULES, needs_npm
from tests.proxy.running import proxy
from tests.simulators.runpod.sdk.programs import run_program, sdk_python, sdk_versions
from tests.workflows import picture, slow
from worker.proxy.callers import key_hash

KEY = "rpa-key-of-a-client-0123456789"
HERE = Path(__file__).parent
Target = Callable[[EngineHandle, Path], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def worker_port(engine: EngineHandle, state: Path) -> AsyncIterator[str]:
    """Run a worker that accepts KEY, and yield the base URL for RunPod's clients."""
    async with worker(engine, state, tokens=SecretStr(f"app={KEY}")) as client:
        yield f"{client.app.url}/v2"


@asynccontextmanager
async def proxy_port(engine: EngineHandle, state: Path) -> AsyncIterator[str]:
    """Run a proxy that accepts KEY in front of a worker, and yield the base URL for RunPod's clients."""
    async with worker(engine, state / "worker") as backend:
        toml = (
            f'[[backends]]\nname = "own"\nurl = "{backend.app.url}"\n'
            f'[[callers]]\nname = "app"\nkey_sha256 = "{key_hash(KEY.encode())}"\n'
        )
        async with proxy(state / "proxy", toml=toml) as client:
            yield f"{client.url}/v2"


TARGETS: list[Target] = [worker_port, proxy_port]
"""Servers with RunPod's API for which the npm client is tested. Each yields a base URL, and accepts KEY."""


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


@needs_npm("runpod-sdk")
@pytest.mark.parametrize("target", TARGETS)
async def test_the_npm_client(engine: EngineHandle, target: Target, tmp_path: Path) -> None:
    """All its methods, and worker-comfyui's message for an empty input."""
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "js_client.mjs", tmp_path)
    async with target(engine, tmp_path / "state") as base_url:
        command = ["node", "js_client.mjs", base_url, KEY, json.dumps(picture()), json.dumps(slow(2, 20))]
        results = await run_program(command, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, tmp_path)
    assert "404" in results.pop("missing")
    assert results == {
        "waited": ["base64"],
        "unfinished": "IN_PROGRESS",
        "slow": ["base64"],
        "followed": ["base64"],
        "streamed": [],
        "cancelled": ["CANCELLED", "CANCELLED"],
        "failed": ["FAILED", "Missing 'workflow' parameter"],
        "purged": [1, "completed"],
        "health": ["jobs", "workers"],
    }
