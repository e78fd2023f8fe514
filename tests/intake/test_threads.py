"""Work that a request does in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.engine.supervised import supervised
from tests.workflows import picture


class CountingThreads(ThreadPoolExecutor):
    """Threads that count what they are given."""

    count = 0

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        self.count += 1
        return super().submit(work, *args, **named)


async def test_a_job_without_files_needs_no_thread(tmp_path: Path) -> None:
    """A prompt with a long description, as most have, is handled without threads. Only its end is logged in one."""
    async with supervised(tmp_path, arrivals_log=False) as worker:
        assert (await worker.post("/generate/sync", {"workflow": picture()}))[0] == 200
        threads = CountingThreads()
        asyncio.get_running_loop().set_default_executor(threads)
        long = {
            "9": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a cat " * 100}},
            "10": {"class_type": "PreviewAny", "inputs": {"source": ["9", 0]}},
        }
        status, body = await worker.post("/generate/sync", {"workflow": picture() | long})
        assert (status, threads.count) == (200, 0), body
