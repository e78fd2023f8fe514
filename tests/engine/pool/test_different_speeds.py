"""Tests of several engines whose GPUs are not equally fast."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

from tests.engine.supervised import supervised
from tests.workflows import sampling

FAST_S, SLOW_S = 0.1, 1.0
TIMINGS = f"""
import os

SLOW = os.environ.get("CUDA_VISIBLE_DEVICES") == "1"
DEVICE = "NVIDIA GeForce RTX 3060" if SLOW else "NVIDIA GeForce RTX 4090"


def seconds(node):
    return {SLOW_S} * SLOW + {FAST_S} * (not SLOW) if node.class_type == "KSampler" else 0.0
"""


async def test_jobs_go_by_the_learned_speed_of_each_engine(tmp_path: Path) -> None:
    """The faster of two engines gets more jobs once both have run some, and nothing is left to do at the end."""
    timings = tmp_path / "timings.py"
    timings.write_text(TIMINGS)
    async with supervised(tmp_path / "state", gpus="2", comfyui_args=f"--timings {timings}") as worker:
        estimates = worker.app.engines.estimates
        async with asyncio.timeout(60):
            while sum(engine.connected for engine in worker.app.engines.engines) < 2:
                await asyncio.sleep(0.02)
        for _ in range(3):  # both engines get one of each two
            pair = [await worker.job(sampling()) for _ in range(2)]
            assert [(await worker.result(job))[0] for job in pair] == [200, 200]
        began = time.monotonic()
        jobs = [await worker.job(sampling()) for _ in range(10)]
        predicted_s = estimates.queue_s()
        assert [(await worker.result(job))[0] for job in jobs] == [200] * len(jobs)
        taken_s = time.monotonic() - began
        used = Counter(worker.engine_of(job) for job in jobs)
        assert used["engine-0"] > used["engine-1"]
        assert predicted_s / 4 < taken_s < predicted_s * 4
        assert estimates.remaining_by_engine() == {"engine-0": 0.0, "engine-1": 0.0}
