"""A page of metrics that the worker's own renderer makes from events, for what a test cannot cause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from worker.events import Observers, TaskFailed
from worker.observers.metrics import Metrics
from worker.observers.snapshot import Snapshot

NOW = Snapshot(
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
)


@asynccontextmanager
async def rendered_page() -> AsyncIterator[str]:
    """Serve the page at `/metrics`, with the same events once more for each request. Yield the address."""
    metrics = Metrics([])
    observers = Observers([metrics])

    async def page(request: web.Request) -> web.Response:
        observers.notify(TaskFailed("journal"))
        body, content_type = metrics.render(NOW, request.headers.get("Accept", ""))
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
