"""`comfy-worker health`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.cli.terminal import cli, command
from tests.engines import EngineHandle
from worker.app import build
from worker.engine.process.free_port import free_port
from worker.settings import Settings


async def test_health_finds_a_running_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """`health` finds the worker by WORKER_GATEWAY_PORT and exits with 0."""
    async with build(Settings.of(comfyui=engine.url, state=tmp_path / "state", port=0)) as app:
        port = app.url.rpartition(":")[2]
        done = await asyncio.to_thread(command, "health", cwd=tmp_path, WORKER_GATEWAY_PORT=port)
        assert (done.returncode, done.stdout) == (0, f"alive: {app.url}/health\n")


def test_health_without_a_worker_exits_with_1(tmp_path: Path) -> None:
    """Without a worker `health` names the URL and exits with 1."""
    done = cli("health", cwd=tmp_path, WORKER_GATEWAY_PORT=str(free_port()))
    assert done.returncode == 1
    assert "no response from http://127.0.0.1:" in done.stderr
