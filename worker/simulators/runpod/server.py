"""The simulated platform with one queue-based endpoint, on one loopback port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
from aiohttp import web

from worker.errors import CannotListen
from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.call_log import RunpodCallLog
from worker.simulators.runpod.control_api import ControlApi
from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.exchange import exchange_middleware
from worker.simulators.runpod.fault_config import RunpodFaults
from worker.simulators.runpod.job_queue.client_api import ClientApi
from worker.simulators.runpod.job_queue.endpoint_jobs import EndpointJobs
from worker.simulators.runpod.job_queue.records import RunpodJob
from worker.simulators.runpod.job_queue.webhooks import deliver_webhook
from worker.simulators.runpod.job_queue.worker_api import WorkerApi
from worker.simulators.runpod.pods.pod_pool import PodOptions, PodPool
from worker.simulators.runpod.queue_pods import queue_pod_events
from worker.supervision import Tasks

LOOPBACK = "127.0.0.1"
MAX_BODY = 64 * 2**20
SWEEP_S = 0.5
PING_INTERVAL_MS = 2000
GPU = "FAKE"


class LocalRunpod:
    """RunPod on this machine, with one endpoint."""

    def __init__(self, state: EndpointState, tasks: Tasks, options: PodOptions | None = None) -> None:
        self.state = state
        self.url = ""
        self.pods: PodPool | None = None
        """The workers that the stand-in has started, None if it starts none."""
        if options:
            events = queue_pod_events(state, self.worker_environ)
            self.pods = PodPool(options, state.assumptions, events, tasks)
        self._tasks = tasks
        self._session: aiohttp.ClientSession | None = None

    @property
    def base_url(self) -> str:
        """The URL for RUNPOD_ENDPOINT_BASE_URL and for `baseUrl` of the npm client."""
        return f"{self.url}/v2"

    @property
    def endpoint_url(self) -> str:
        """The URL of the endpoint, to which `/run` and the other operations are appended."""
        return f"{self.base_url}/{self.state.endpoint}"

    @property
    def api_key(self) -> str:
        """The key of clients."""
        return self.state.keys.client

    @property
    def calls(self) -> RunpodCallLog:
        """All exchanges so far."""
        return self.state.calls

    @property
    def faults(self) -> RunpodFaults:
        """The faults of the next calls."""
        return self.state.faults

    def client_environ(self) -> dict[str, str]:
        """Return the variables of RunPod's Python client. The key has to be set in code."""
        return {"RUNPOD_ENDPOINT_BASE_URL": self.base_url, "RUNPOD_API_KEY": self.api_key}

    def worker_environ(self, worker_id: str, ping_interval_ms: int = PING_INTERVAL_MS) -> dict[str, str]:
        """Return the variables that RunPod sets for a worker, and those that skip the SDK's checks of the machine."""
        query = f"?gpu={quote(GPU)}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{self.endpoint_url}/job-take/$ID{query}",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{self.endpoint_url}/job-done/$RUNPOD_POD_ID/$ID{query}",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{self.endpoint_url}/job-stream/$RUNPOD_POD_ID/$ID{query}",
            "RUNPOD_WEBHOOK_PING": f"{self.endpoint_url}/ping/$RUNPOD_POD_ID{query}",
            "RUNPOD_PING_INTERVAL": str(ping_interval_ms),
            "RUNPOD_AI_API_KEY": self.state.keys.worker,
            "RUNPOD_POD_ID": worker_id,
            "RUNPOD_ENDPOINT_ID": self.state.endpoint,
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Serve while the context lasts. Raises CannotListen."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[exchange_middleware(self.state)])
        app.add_routes([*WorkerApi(self.state, self._stop_pod).routes, *ClientApi(self.state).routes])
        app.add_routes(ControlApi(self.state).routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, LOOPBACK, port).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(LOOPBACK, port, error) from error
            self.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
            async with aiohttp.ClientSession() as self._session:
                self._tasks.start("runpod-sweep", self._sweep)
                if self.pods:
                    self._tasks.start("runpod-pods", self.pods.run)
                yield
        finally:
            await runner.cleanup()

    def job_ended(self, job: RunpodJob) -> None:
        """Deliver the state of an ended job to its webhook."""
        if "webhook" in job.extra and self._session:
            self._tasks.spawn(f"webhook {job.id}", deliver_webhook(self._session, job, self.state.assumptions))

    def _stop_pod(self, worker_id: str) -> None:
        """Stop a worker that asked for it by `stopPod` or is lost, if the stand-in has started it."""
        if self.pods:
            self.pods.stop(worker_id)

    async def _sweep(self) -> None:
        """End and remove what has run out of time, again and again."""
        while True:
            for worker_id in self.state.sweep():
                self._stop_pod(worker_id)
            await asyncio.sleep(SWEEP_S)


@asynccontextmanager
async def serve(
    port: int = 0,
    *,
    endpoint: str = "comfy",
    assumptions: RunpodAssumptions | None = None,
    clock: Callable[[], float] = time.time,
    pods: PodOptions | None = None,
) -> AsyncIterator[LocalRunpod]:
    """Serve one endpoint on one loopback port. Port 0 picks a free port. Raises CannotListen.

    With `pods` the stand-in starts workers itself, and kills them at the end.
    """
    switches = assumptions or RunpodAssumptions()
    async with Tasks() as tasks:
        state = EndpointState(endpoint, switches, EndpointJobs(switches), clock=clock)
        runpod = LocalRunpod(state, tasks, pods)
        state.jobs.on_end = runpod.job_ended
        async with runpod.listening(port):
            yield runpod
