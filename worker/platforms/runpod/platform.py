"""RunPod Serverless as a platform: its traits, its environment, and the kind of endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from worker.check_finding import CheckFinding, fail, ok
from worker.errors import StartupError
from worker.platforms.base import Detection, Platform, SettingRow, Traits
from worker.platforms.runpod.settings import RunpodSettings
from worker.settings import Settings

log = logging.getLogger("worker")

QUEUE_VARIABLE, ENDPOINT_VARIABLE = "RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_ENDPOINT_ID"
LARGEST_RESULT = 19_000_000
"""Bytes. RunPod accepts 20 MB for /runsync. The limit for /run is lower, and is checked for each job."""


class Runpod(Platform):
    """A worker of an endpoint. With a queue, the worker takes jobs, and no client reaches it.

    `drain_s` is None, because RunPod does not document how long it waits after SIGTERM: WORKER_DRAIN decides.
    """

    name = "runpod"
    traits = Traits(max_response_bytes=LARGEST_RESULT, output_urls=False)
    owned_variables = ("RUNPOD_",)

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Detect RunPod Serverless by the URL of the queue, or by the id of the endpoint."""
        for name in (QUEUE_VARIABLE, ENDPOINT_VARIABLE):
            if environ.get(name):
                return Detection(found=True, evidence=f"{name} is set")
        return Detection(found=False, evidence=f"RunPod's {QUEUE_VARIABLE} and {ENDPOINT_VARIABLE} not set")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Serve the queue of the endpoint until cancelled, then drain."""
        from worker.platforms.runpod.queue.queue_worker import serve_queue

        runpod = RunpodSettings.from_env(environ)
        if not runpod.has_queue:
            raise StartupError(f"{QUEUE_VARIABLE} is not set: RunPod sets it in the workers of a queue-based endpoint")
        await serve_queue(settings, runpod, self.traits)

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        """Log why the process ends, and report the worker as unhealthy."""
        from worker.platforms.runpod.queue.failure_ping import send_failure_ping

        log.critical("not serving: %s", message)
        asyncio.run(send_failure_ping(message, environ))

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        """Return a finding about RunPod's variables."""
        from worker.platforms.runpod.queue.urls import QueueUrls

        try:
            runpod = RunpodSettings.from_env(environ)
            QueueUrls.of(runpod)
        except StartupError as error:
            return [fail(self.name, str(error), "RunPod sets it; use --platform none on this machine")]
        return [
            ok(self.name, f"worker {runpod.pod_id or 'without an id'} of endpoint {runpod.endpoint_id or 'unknown'}")
        ]

    def variables(self) -> Iterable[SettingRow]:
        """Return the variables of RunpodSettings."""
        return RunpodSettings.table()
