"""The scene of the fault matrix: a worker behind Vast's SDK, its gateway, its engine, a bucket and the autoscaler."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.testbed.bucket import NAME, BucketServer
from chaos.testbed.kept import kept_engines
from chaos.testbed.relay import Relay
from chaos.testbed.stage import StageEngine, StageWorker, engine_in, worker_in
from worker.simulators.vast_router import LocalVast, serve

WORKER_ID = 1
READY_S = 200.0


@dataclass(slots=True)
class Testbed:
    """`engine` and `relay` are None where the worker keeps its engine itself, as it does in the container."""

    worker: StageWorker
    vast: LocalVast
    bucket: BucketServer
    engine: StageEngine | None
    relay: Relay | None
    signed_url: str = ""

    async def start_worker(self) -> None:
        """Until the gateway would take a job and the autoscaler counts the worker as loaded."""
        self.vast.record.clear()
        await self.worker.start()
        await self.vast.record.until(lambda record: any(one.max_perf > 0 for one in record.of(WORKER_ID)), READY_S)
        self.signed_url = self.vast.record.statuses[-1].url

    def engine_urls(self) -> list[str]:
        """Where the engines answer that run now."""
        if self.engine:
            return [self.engine.url]
        return [engine.url for engine in kept_engines(self.worker.child.pid)]

    def signal_engine(self, number: signal.Signals) -> None:
        """To one of them. Raises LookupError while there is none."""
        pids = [self.engine.child.pid] if self.engine else [kept.pid for kept in kept_engines(self.worker.child.pid)]
        if not pids:
            raise LookupError("the worker's engine is gone")
        os.kill(pids[0], number)


@asynccontextmanager
async def testbed(folder: Path, env: Mapping[str, str], *, apart: bool) -> AsyncIterator[Testbed]:
    """`apart`: the engine is somebody else's, behind a relay, and outlives the worker."""
    async with AsyncExitStack() as stack:
        vast = await stack.enter_async_context(serve())
        bucket = await stack.enter_async_context(BucketServer())
        engine = engine_in(folder)
        relay = await stack.enter_async_context(Relay(engine.port)) if apart else None
        worker = worker_in(folder, engine, relay.url if relay else "embedded", {})
        worker.child.env = {**worker.child.env, **_vast(await vast.worker_env(WORKER_ID)), **env}
        if not apart:
            shared = {"WORKER_COMFYUI_INPUT", "WORKER_COMFYUI_OUTPUT"}
            worker.child.env = {name: value for name, value in worker.child.env.items() if name not in shared}
        if "WORKER_S3_BUCKET" in env:
            worker.child.env = {**worker.child.env, "WORKER_S3_ENDPOINT": bucket.url}
        scene = Testbed(worker, vast, bucket, engine if apart else None, relay)
        try:
            if apart:
                await engine.start()
            await scene.start_worker()
            yield scene
        finally:
            engine.child.send(signal.SIGCONT)
            await worker.child.end()
            if apart:
                await engine.child.end()


def bucket_settings() -> dict[str, str]:
    return {"WORKER_S3_BUCKET": NAME, "AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos-secret"}


def _vast(given: Mapping[str, str]) -> dict[str, str]:
    own = {"WORKER_PLATFORM": "vast", "WORKER_VAST_HOST": "127.0.0.1", "WORKER_BENCHMARK_RUNS": "1"}
    return {**given, **own, "WORKER_TOKENS": ""}
