"""`python -m bench.servers.slow_worker`: a worker that takes a second to deliver each output."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import uvloop

from worker.app import build
from worker.job import Job, Output
from worker.settings import Settings
from worker.storage.local import LocalStorage

DELIVERY_S = 1.0


class SlowStorage:
    """Local storage that takes DELIVERY_S for each output."""

    external = LocalStorage.external

    def __init__(self) -> None:
        self._storage = LocalStorage()

    async def put(self, job: Job, output: Output, path: Path) -> str:
        await asyncio.sleep(DELIVERY_S)
        return await self._storage.put(job, output, path)


async def serve() -> None:
    """Run the worker until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with build(Settings.from_env(), storage=SlowStorage()):
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve())
