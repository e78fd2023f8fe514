"""A scripted copy of RunPod's calls for workers: it hands out jobs and records every request."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

LIMIT_S = 30.0
KEY = "worker-key-canary"
DROP = -1
"""Status that stands for a dropped connection."""


@dataclass(frozen=True)
class Exchange:
    """One request. `call` is the second part of its path after the endpoint: `job-take`, `job-done`, ..."""

    at: float
    method: str
    call: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def job_id(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def json(self) -> Any:
        """The body as strict JSON."""
        return json.loads(self.body, parse_constant=_reject)


def _reject(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@dataclass
class Gateway:
    """The platform's side. Statuses in `take_statuses`, `done_statuses` and `stop_statuses` are used up first."""

    hold_s: float = 2.0
    url: str = ""
    jobs: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    stops: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    exchanges: list[Exchange] = field(default_factory=list)
    take_statuses: list[int] = field(default_factory=list)
    done_statuses: list[int] = field(default_factory=list)
    stop_statuses: list[int] = field(default_factory=list)
    done_limit: int = 20_000_000
    on_done: Callable[[Exchange], None] = lambda _: None
    accepted: dict[str, list[Any]] = field(default_factory=dict)
    progress: dict[str, list[Any]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a worker."""
        base = f"{self.url}/v2/ep0"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=FAKE",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=FAKE",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=FAKE",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=FAKE",
            "RUNPOD_PING_INTERVAL": "1000",
            "RUNPOD_AI_API_KEY": KEY,
            "RUNPOD_POD_ID": "pod0",
            "RUNPOD_ENDPOINT_ID": "ep0",
            **more,
        }

    def send(self, job_id: str, **job: Any) -> None:
        """Put a job into the queue."""
        self.jobs.put_nowait({"id": job_id, **job})

    async def until(self, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Wait for a condition, which is checked after each request. Raises AssertionError with the last requests."""
        try:
            async with asyncio.timeout(limit_s):
                while not (found := condition()):
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            last = [(call.call, call.job_id, call.body[:200]) for call in self.exchanges[-12:]]
            raise AssertionError(f"it did not happen; the last requests: {last}") from None

    async def result(self, job_id: str) -> Any:
        """Wait for the accepted result of a job."""
        return (await self.until(lambda: self.accepted.get(job_id)))[0]

    def calls(self, call: str) -> list[Exchange]:
        """Return the requests of one kind."""
        return [exchange for exchange in self.exchanges if exchange.call == call]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record a request, and answer it."""
        _, _, _, call, *_ = request.path.split("/")
        body = await request.read()
        exchange = Exchange(
            time.monotonic(), request.method, call, request.path, dict(request.query), dict(request.headers), body
        )
        self.exchanges.append(exchange)
        self._changed.set()
        answers = {"job-done": self._done, "job-stop": self._stop, "ping": self._ping}
        status, value = await answers.get(call, self._take)(exchange)
        self._changed.set()
        if status == DROP:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(value, status=status) if value is not None else web.Response(status=abs(status))

    async def _take(self, exchange: Exchange) -> tuple[int, Any]:
        if self.take_statuses:
            return self.take_statuses.pop(0), None
        try:
            async with asyncio.timeout(self.hold_s):
                job = await self.jobs.get()
        except TimeoutError:
            return 204, None
        return 200, [job] if exchange.call == "job-take-batch" else job

    async def _stop(self, _: Exchange) -> tuple[int, Any]:
        if self.stop_statuses:
            return self.stop_statuses.pop(0), None
        try:
            async with asyncio.timeout(self.hold_s):
                return 200, {"jobsToStop": [await self.stops.get()]}
        except TimeoutError:
            return 204, None

    async def _ping(self, _: Exchange) -> tuple[int, Any]:
        return 200, None

    async def _done(self, exchange: Exchange) -> tuple[int, Any]:
        if exchange.json.get("status") == "IN_PROGRESS":
            self.progress.setdefault(exchange.job_id, []).append(exchange)
            return 200, None
        self.on_done(exchange)
        if self.done_statuses and (status := self.done_statuses.pop(0)) != 200:
            return status, None
        if len(exchange.body) > self.done_limit:
            return 400, None
        self.accepted.setdefault(exchange.job_id, []).append(exchange.json)
        return 200, None


@asynccontextmanager
async def running_gateway(hold_s: float = 2.0) -> AsyncIterator[Gateway]:
    """Run a gateway on a free port."""
    gateway = Gateway(hold_s)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/v2/{path:.*}", gateway.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()
