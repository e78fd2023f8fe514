"""Two whole workers behind one router."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests import workflows
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded, processes, start_worker
from worker.simulators import vast_router


async def test_two_workers_share_the_work(engine: EngineHandle, tmp_path: Path) -> None:
    """Both workers serve requests and report their own numbers, without duplicates."""
    async with AsyncExitStack() as stack:
        vast = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(tmp_path))
        for number in (1, 2):
            await start_worker(spawn, vast, engine, number, tmp_path / f"state-{number}")
        for number in (1, 2):
            await vast.record.until(loaded(number))
        client = await stack.enter_async_context(vast.client())
        endpoint = await client.get_endpoint("comfy")
        bodies = [{"workflow": workflows.slow(0.1, steps=1)} for _ in range(4)]
        answers = await asyncio.gather(*(endpoint.request("/generate/sync", body, timeout=60) for body in bodies))
        assert all(answer["ok"] for answer in answers)
        assert len({answer["url"] for answer in answers}) == 2
        await vast.record.until(lambda record: len(record.deletions) == 4)
        work = sum(answer["response"]["metadata"]["workload"] for answer in answers)
        await vast.record.until(lambda record: sum(row.served for row in record.summaries()) >= work * 0.999)
        assert all(row.max_perf > 0 and row.served > 0 and row.deleted > 0 for row in vast.record.summaries())
