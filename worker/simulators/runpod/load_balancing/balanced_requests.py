"""The way of a client's request through the load balancer: key, worker, limits and log."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from worker.simulators.runpod.call_log import RunpodCall, header_pairs
from worker.simulators.runpod.job_queue.client_refused import ClientRefused
from worker.simulators.runpod.load_balancing.balancer_state import BalancerState
from worker.simulators.runpod.load_balancing.forwarding import BEGUN, BodyTooLong, Forwarder
from worker.simulators.runpod.load_balancing.routing import (
    WORKER_ID,
    Affinity,
    AffinityMode,
    BalancedWorker,
    choose,
)


@dataclass(frozen=True, slots=True)
class BalancedRequests:
    """Handles the requests of clients."""

    state: BalancerState
    forwarder: Forwarder

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, and log it."""
        at, started = time.time(), time.monotonic()
        response: web.StreamResponse | None = None
        try:
            response = await self._answer(request)
            return response
        except ClientRefused as error:
            response = web.Response(status=error.status, text=error.body, content_type="application/json")
            return response
        finally:
            self.state.calls.add(
                RunpodCall(
                    at=at,
                    held_s=time.monotonic() - started,
                    method=request.method,
                    path=request.rel_url.raw_path_qs,
                    headers=header_pairs(request.raw_headers),
                    body="",  # streamed
                    size=request.content_length or 0,
                    status=response.status if response else 0,
                    answer="",
                )
            )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Forward a request within the time that RunPod allows. Raises ClientRefused."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") != self.state.keys.client:
            raise ClientRefused(401, "unauthorized")
        worker = await self._worker(Affinity.read(request.headers.get(WORKER_ID, "")))
        worker.open_requests += 1
        try:
            async with asyncio.timeout(self.state.assumptions.load_balancer_limit_s):
                return await self._forward(worker, request)
        except TimeoutError:
            status = self.state.assumptions.load_balancer_limit_status
            return self._fail(request, status, "request took too long")
        finally:
            worker.open_requests -= 1
            worker.served += 1
            self.state.changes.notify()

    async def _forward(self, worker: BalancedWorker, request: web.Request) -> web.StreamResponse:
        """Forward a request. Failures become responses, or end one that has begun."""
        is_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        send = self.forwarder.forward_websocket if is_websocket else self.forwarder.forward
        try:
            return await send(worker, request)
        except BodyTooLong:
            return self._fail(request, self.state.assumptions.load_balancer_body_status, "body is too large")
        except aiohttp.ClientError:
            return self._fail(request, 502, "bad gateway")

    def _fail(self, request: web.Request, status: int, message: str) -> web.Response:
        """Return an error response. If a part of another one was sent, close the connection instead."""
        if not request.get(BEGUN):
            raise ClientRefused(status, message)
        if request.transport:
            request.transport.close()
        return web.Response(status=status)

    async def _worker(self, affinity: Affinity) -> BalancedWorker:
        """Return the worker for a request. Wait for one that is ready. Raises ClientRefused."""
        state, assumptions = self.state, self.state.assumptions
        if affinity.is_strict and not self._exists(affinity):
            raise ClientRefused(404, "affinity_worker_gone")
        state.waiting += 1
        try:
            worker = await state.changes.until(
                lambda: choose(state.workers, affinity, assumptions.worker_concurrency),
                assumptions.affinity_wait_s if affinity.is_strict else assumptions.load_balancer_wait_s,
            )
        finally:
            state.waiting -= 1
        if worker:
            return worker
        if affinity.is_strict:
            raise ClientRefused(400, "timed out waiting for worker")
        raise ClientRefused(assumptions.no_workers_status, "no workers available")

    def _exists(self, affinity: Affinity) -> bool:
        """Return whether a worker is there. One that was scaled down is started if the client wants that."""
        if affinity.worker_id in self.state.workers:
            return True
        return affinity.mode is AffinityMode.STRICT_RESUME and self.state.resume(affinity.worker_id)
