"""A page of metrics that the worker's own renderer makes from events, for what requests cannot cause on this machine.

These are the metrics of GPUs, and of faults of the worker itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from worker.events import JobPredicted, MachineSlowed, Observers, TaskFailed
from worker.gpus.facts import Gpu, GpuReading, GpuReport, GpuState, ThrottleReason
from worker.job import JobRef
from worker.observers import metric_specs as specs
from worker.observers.metrics import Metrics
from worker.observers.snapshot import Snapshot

RENDERED = (
    *(specs.TASK_FAILURES, specs.SLOWDOWN, specs.SLOWED),
    *(specs.GPU_INFO, specs.GPU_UP, specs.GPU_UTILIZATION, specs.GPU_MEMORY_USED, specs.GPU_MEMORY_TOTAL),
    *(specs.GPU_POWER, specs.GPU_ENERGY, specs.GPU_TEMPERATURE, specs.GPU_CLOCK, specs.GPU_THROTTLED),
)
"""Metrics whose series only this page has."""
GPU = Gpu(0, "GPU-1", "NVIDIA GeForce RTX 4090")
READING = GpuReading(
    utilization=0.9,
    memory_used_bytes=20 * 2**30,
    memory_total_bytes=24 * 2**30,
    power_watts=400.0,
    temperature_celsius=70.0,
    clock_hertz=2.5e9,
    throttled=frozenset({ThrottleReason.POWER_CAP}),
)
RUN = JobPredicted(JobRef("a", "", "job-a"), "engine-0", "sdxl", "sdxl", 4.0, 3.5, 4.5, cold=True)


def snapshot(scrapes: int) -> Snapshot:
    """Return the numbers of a worker with one GPU, after this number of scrapes."""
    reading = replace(READING, energy_joules=400.0 * scrapes)
    gpu = GpuState(GPU, "engine-0", reading, {ThrottleReason.POWER_CAP: scrapes / 2})
    return Snapshot(
        running=0,
        waiting=0,
        delivering=0,
        load_units=0.0,
        queue_work_s=0.0,
        engines_connected=1,
        engines_away=0,
        disk_free=10**12,
        set_aside=2,
        ready=True,
        slowdowns={"engine-0": 1.1},
        gpus=GpuReport("550.54", (gpu,)),
    )


@asynccontextmanager
async def rendered_page() -> AsyncIterator[str]:
    """Serve the page at `/metrics`, with the same events once more for each scrape. Yield the address."""
    metrics = Metrics(["sdxl"])
    observers = Observers([metrics])
    scrapes = 0

    async def page(request: web.Request) -> web.Response:
        nonlocal scrapes
        scrapes += 1
        for event in (TaskFailed("journal"), MachineSlowed("engine-0", 1.5), RUN):
            observers.notify(event)
        body, content_type = metrics.render(snapshot(scrapes), request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
