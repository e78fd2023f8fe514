"""The testbed of the fault matrix: a worker behind Vast's SDK, its gateway, its engine, a bucket and the autoscaler."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.testbed.bucket import NAME, BucketServer
from chaos.testbed.managed_engines import managed_engines
from chaos.testbed.tcp_relay import TcpRelay
from chaos.testbed.worker_testbeds import EngineProcess, WorkerProcess, engine_process, worker_process
from worker.simulators.vast_router import LocalVast, serve

WORKER_ID = 1
READY_S = 200.0


@dataclass(slots=True)
class MatrixTestbed:
    """The running servers. `engine` and `relay` are None if the worker manages its engines, as in the container."""

    worker: WorkerProcess
    vast: LocalVast
    bucket: BucketServer
    engine: EngineProcess | None
    relay: TcpRelay | None
    signed_url: str = ""

    async def start_worker(self) -> None:
        """Start the worker and wait until its gateway is ready and the autoscaler has received its performance."""
        self.vast.record.clear()
        await self.worker.start()
        await self.vast.record.until(
            lambda record: any(report.max_perf > 0 for report in record.reports_of(WORKER_ID)), READY_S
        )
        self.signed_url = self.vast.record.statuses[-1].url

    def engine_urls(self) -> list[str]:
        """Return the URLs of the running engines."""
        if self.engine:
            return [self.engine.url]
        return [engine.url for engine in managed_engines(self.worker.child.pid)]

    def signal_engine(self, number: signal.Signals) -> None:
        """Send a signal to one engine. Raises LookupError when no engine is running."""
        if self.engine:
            pids = [self.engine.child.pid]
        else:
            pids = [engine.pid for engine in managed_engines(self.worker.child.pid)]
        if not pids:
            raise LookupError("the worker has no running engine")
        os.kill(pids[0], number)


@asynccontextmanager
async def matrix_testbed(
    folder: Path, env: Mapping[str, str], *, external_engine: bool
) -> AsyncIterator[MatrixTestbed]:
    """Start all servers. An external engine is behind a relay and survives the worker."""
    async with AsyncExitStack() as stack:
        vast = await stack.enter_async_context(serve())
        bucket = await stack.enter_async_context(BucketServer())
        engine = engine_process(folder)
        relay = await stack.enter_async_context(TcpRelay(engine.port)) if external_engine else None
        worker = worker_process(folder, engine, relay.url if relay else "embedded", {})
        worker.child.env = {**worker.child.env, **_vast_settings(await vast.worker_env(WORKER_ID)), **env}
        if not external_engine:
            shared_folders = {"WORKER_COMFYUI_INPUT", "WORKER_COMFYUI_OUTPUT"}
            worker.child.env = {name: value for name, value in worker.child.env.items() if name not in shared_folders}
        if "WORKER_S3_BUCKET" in env:
            worker.child.env = {**worker.child.env, "WORKER_S3_ENDPOINT": bucket.url}
        testbed = MatrixTestbed(worker, vast, bucket, engine if external_engine else None, relay)
        try:
            if external_engine:
                await engine.start()
            await testbed.start_worker()
            yield testbed
        finally:
            engine.child.send_signal(signal.SIGCONT)
            await worker.child.stop()
            if external_engine:
                await engine.child.stop()


def bucket_settings() -> dict[str, str]:
    """Return the worker's settings for the bucket."""
    return {"WORKER_S3_BUCKET": NAME, "AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos-secret"}


def _vast_settings(worker_env: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's settings for the simulated Vast platform."""
    own = {"WORKER_PLATFORM": "vast", "WORKER_VAST_HOST": "127.0.0.1", "WORKER_BENCHMARK_RUNS": "1"}
    return {**worker_env, **own, "WORKER_TOKENS": ""}
