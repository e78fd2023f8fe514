"""The complete path of a request on Vast: its client, a router, its SDK's worker and the gateway."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.rounds import TimedClient
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchEngine, running, wait_until_ready, worker_env
from bench.servers.served import DIALECTS
from worker.engine.process.free_port import free_port
from worker.simulators.vast_router import serve
from worker.workflow.prompt import Prompt

WORKER_ID = 1


@asynccontextmanager
async def through_vast(engine: BenchEngine, folder: Path) -> AsyncIterator[tuple[TimedClient, int]]:
    """Yield Vast's client with a kept connection, and the worker's process id. The router runs in this process."""
    async with serve() as vast:
        port = free_port()
        env = worker_env(engine, folder, port) | await vast.worker_env(WORKER_ID)
        command = [sys.executable, "-m", "worker", "serve", "--platform", "vast"]
        async with running(command, folder / "worker.log", env) as started:
            await wait_until_ready(f"http://127.0.0.1:{port}/ready", started)
            await vast.record.until(lambda record: any(row.max_perf > 0 for row in record.reports_of(WORKER_ID)), 60)
            async with vast.client() as client:
                endpoint = await client.get_endpoint(vast.endpoint)

                async def run_job(prompt: Prompt) -> float:
                    started_at = time.perf_counter()
                    answer = await endpoint.request("/generate/sync", DIALECTS["vast"].body(prompt))
                    if not answer["ok"]:
                        raise JobFailedError(str(answer)[:300])
                    DIALECTS["vast"].decode(answer["response"])
                    return time.perf_counter() - started_at

                yield run_job, started.process.pid
