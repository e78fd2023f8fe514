"""A worker as Vast's documentation shows it: the SDK's `Worker`, nothing of ours, before a trivial model server.

Run as a child process: the SDK reads the environment at import and sets up logging for the whole process.
"""

import asyncio
import socket

from aiohttp import web
from vastai.serverless.server.worker import BenchmarkConfig, HandlerConfig, Worker, WorkerConfig


async def generate(request: web.Request) -> web.Response:
    """Sleep for `sleep_s`, then answer with `status` and what was asked."""
    body = await request.json()
    await asyncio.sleep(body.get("sleep_s", 0))
    return web.json_response({"echo": body}, status=body.get("status", 200))


class Lifecycle:
    async def __aenter__(self) -> "Lifecycle":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def main() -> None:
    app = web.Application()
    app.add_routes([web.post("/generate/sync", generate)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    benchmark = BenchmarkConfig(dataset=[{"sleep_s": 0.2}], runs=1, concurrency=1, do_warmup=False)
    handler = HandlerConfig(
        route="/generate/sync", allow_parallel_requests=True, max_queue_time=None, benchmark_config=benchmark
    )
    config = WorkerConfig(
        model_server_url="http://127.0.0.1",
        model_server_port=listener.getsockname()[1],
        handlers=[handler],
        lifecycle=Lifecycle(),
    )
    await Worker(config).run_async(host="127.0.0.1")


if __name__ == "__main__":
    asyncio.run(main())
