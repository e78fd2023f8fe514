"""The simulated load balancer with one endpoint, on one loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from worker.engine.process.free_port import free_port
from worker.errors import CannotListen
from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.load_balancing.balanced_requests import BalancedRequests
from worker.simulators.runpod.load_balancing.balancer_state import BalancerState, check_health
from worker.simulators.runpod.load_balancing.forwarding import Forwarder
from worker.simulators.runpod.load_balancing.routing import BalancedWorker, HealthState
from worker.simulators.runpod.pods.pod_pool import PodEvents, PodOptions, PodPool
from worker.simulators.runpod.pods.scaling import PodDemand
from worker.supervision import Tasks

LOOPBACK = "127.0.0.1"


class LocalLoadBalancer:
    """A load-balancing endpoint of RunPod on this machine. `url` stands for `https://ENDPOINT.api.runpod.ai`."""

    def __init__(self, state: BalancerState, tasks: Tasks, options: PodOptions | None = None) -> None:
        self.state = state
        self.url = ""
        self.pods: PodPool | None = None
        """The workers that the stand-in has started, None if it starts none."""
        self._tasks = tasks
        self._session: aiohttp.ClientSession | None = None
        if options:
            events = PodEvents(self.worker_environ, self._demand, self._busy, self._stopping, self.remove_worker)
            self.pods = PodPool(options, state.assumptions, events, tasks)
            state.resume = self.pods.resume

    @property
    def api_key(self) -> str:
        """The key of clients, after `Bearer`."""
        return self.state.keys.client

    def add_worker(self, worker_id: str, port: int, health_port: int | None = None, health_path: str = "/ping") -> None:
        """Add a worker that listens on loopback. It gets requests from its first 200 on."""
        url, health = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{health_port or port}{health_path}"
        worker = self.state.workers[worker_id] = BalancedWorker(worker_id, url, health)
        if self._session:
            self._tasks.spawn(f"health {worker_id}", check_health(self._session, worker, self.state))

    def remove_worker(self, worker_id: str) -> None:
        """Remove a worker that is gone."""
        self.state.workers.pop(worker_id, None)
        self.state.changes.notify()

    async def wait_until_ready(self, count: int = 1, timeout_s: float = 60.0) -> None:
        """Wait until this number of workers is ready. Raises TimeoutError."""
        if not await self.state.changes.until(lambda: self.state.ready >= count, timeout_s):
            raise TimeoutError(f"{self.state.ready} of {count} workers are ready")

    def worker_environ(self, worker_id: str) -> dict[str, str]:
        """Return the variables that RunPod sets for a worker, with a free port, and add it to the load balancer."""
        port = free_port()
        self.add_worker(worker_id, port)
        return {
            "RUNPOD_ENDPOINT_ID": self.state.endpoint,
            "RUNPOD_POD_ID": worker_id,
            "RUNPOD_AI_API_KEY": self.state.keys.worker,
            "PORT": str(port),
            "PORT_HEALTH": str(port),
        }

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Serve while the context lasts. Raises CannotListen."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as self._session:
            requests = BalancedRequests(self.state, Forwarder(self._session, self.state.assumptions))
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", requests.handle)
            runner = web.AppRunner(
                app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True, auto_decompress=False
            )
            await runner.setup()
            try:
                try:
                    await web.TCPSite(runner, LOOPBACK, port).start()
                except (OSError, OverflowError) as error:
                    raise CannotListen(LOOPBACK, port, error) from error
                self.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
                if self.pods:
                    self._tasks.start("runpod-pods", self.pods.run)
                yield
            finally:
                await runner.cleanup()

    def _demand(self) -> PodDemand:
        """Return the open requests, which are the load of the scaler."""
        return PodDemand([0.0] * self.state.waiting, self.state.open_requests)

    def _busy(self, worker_id: str) -> bool:
        """Return whether a worker has requests, or is not ready yet."""
        worker = self.state.workers.get(worker_id)
        return worker is not None and (worker.open_requests > 0 or worker.state in (None, HealthState.INITIALIZING))

    def _stopping(self, worker_id: str) -> None:
        """Send no more requests to a worker that is stopped."""
        self.remove_worker(worker_id)


@asynccontextmanager
async def serve_load_balancer(
    port: int = 0,
    *,
    endpoint: str = "comfy-http",
    assumptions: RunpodAssumptions | None = None,
    pods: PodOptions | None = None,
) -> AsyncIterator[LocalLoadBalancer]:
    """Serve one load-balancing endpoint on one loopback port. Port 0 picks a free port. Raises CannotListen.

    With `pods` the stand-in starts workers itself, and kills them at the end.
    """
    async with Tasks() as tasks:
        balancer = LocalLoadBalancer(BalancerState(endpoint, assumptions or RunpodAssumptions()), tasks, pods)
        async with balancer.listening(port):
            yield balancer
