"""Malformed requests to Vast's public port."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from yarl import URL

from tests.api.edge.garbage import GARBAGE, MARK, send
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded, processes, start_worker
from worker.api.edge.malformed import LINES
from worker.simulators import vast_router


@pytest.mark.timeout(240)
async def test_vasts_port_logs_no_traceback(engine: EngineHandle, tmp_path: Path) -> None:
    """A flood of malformed requests logs a few lines, with and without TLS, at any level."""
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve(tls=True))
        spawn = await stack.enter_async_context(processes(tmp_path))
        process = await start_worker(spawn, local, engine, 1, tmp_path / "state", WORKER_LOG_LEVEL="debug")
        await local.record.until(loaded(1))
        port = URL(local.record.statuses[-1].url).port
        assert port is not None
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        async with asyncio.timeout(60):
            await send(port, GARBAGE * 2, trusting)
            await send(port, GARBAGE, leave=True)  # no TLS: half of a handshake would be waited for
        process.terminate()
        await process.wait()
    text = (tmp_path / "comfy_worker-0.log").read_text(errors="surrogateescape")
    assert "Traceback" not in text
    assert MARK.decode() not in text
    assert text.count("malformed request from 127.0.0.1: ") == LINES
    assert f"malformed requests: {2 * len(GARBAGE) - LINES} more" in text
