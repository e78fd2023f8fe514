"""RunPod Serverless as a platform: its traits, its environment, and the kind of endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from worker.check_finding import CheckFinding, fail, ok
from worker.errors import StartupError
from worker.platforms.base import Detection, Platform, SettingRow, Traits
from worker.platforms.runpod.load_balancing import LoadBalancingSettings
from worker.platforms.runpod.settings import RunpodSettings
from worker.settings import Settings

log = logging.getLogger("worker")

QUEUE_VARIABLE, ENDPOINT_VARIABLE = "RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_ENDPOINT_ID"
KEY_VARIABLE, POD_VARIABLE = "RUNPOD_AI_API_KEY", "RUNPOD_POD_ID"
QUEUE_VARIABLES = (QUEUE_VARIABLE, "RUNPOD_WEBHOOK_POST_OUTPUT")
REQUIRED_WITH_QUEUE = (KEY_VARIABLE, POD_VARIABLE)
QUEUE_PROBLEM = (
    "{present} is set, and {missing} not: RunPod sets all of them in the workers of a queue-based endpoint. Remove "
    "those that you have set yourself, or set WORKER_PLATFORM to the platform of this machine"
)
LARGEST_RESULT = 19_000_000
"""Bytes. RunPod accepts 20 MB for /runsync. The limit for /run is lower, and is checked for each job."""


class Runpod(Platform):
    """A worker of an endpoint. With a queue, the worker takes jobs, and no client reaches it.

    `traits` are those of a worker with a queue. A load-balancing endpoint has its own.

    `drain_s` is None, because RunPod does not document how long it waits after SIGTERM: WORKER_DRAIN decides.
    """

    name = "runpod"
    traits = Traits(max_response_bytes=LARGEST_RESULT, output_urls=False)
    owned_variables = ("RUNPOD_",)

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Detect RunPod Serverless by the URL of the queue, or by the id of the endpoint.

        An incomplete set of the variables of a queue is a problem: without a key or an id, no job could be taken.
        """
        if set_variables := [name for name in QUEUE_VARIABLES if environ.get(name)]:
            missing = [name for name in (*QUEUE_VARIABLES, *REQUIRED_WITH_QUEUE) if not environ.get(name)]
            evidence = f"{' and '.join(set_variables)} set: a queue-based endpoint"
            problem = QUEUE_PROBLEM.format(present=set_variables[0], missing=", ".join(missing)) if missing else ""
            return Detection(found=True, evidence=evidence, problem=problem)
        if environ.get(ENDPOINT_VARIABLE):
            evidence = f"{ENDPOINT_VARIABLE} is set, and {QUEUE_VARIABLE} is not: a load-balancing endpoint"
            return Detection(found=True, evidence=evidence)
        if environ.get(POD_VARIABLE):
            return Detection(found=False, evidence=f"{POD_VARIABLE} is set, and {ENDPOINT_VARIABLE} is not: a pod")
        return Detection(found=False, evidence=f"RunPod's {QUEUE_VARIABLE} and {ENDPOINT_VARIABLE} not set")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Serve the endpoint until cancelled, then drain: its queue, or the port of a load-balancing endpoint."""
        from worker.platforms.runpod import load_balancing
        from worker.platforms.runpod.queue.queue_worker import serve_queue

        runpod = RunpodSettings.from_env(environ)
        if runpod.has_queue:
            await serve_queue(settings, runpod, self.traits)
        elif runpod.endpoint_id:
            await load_balancing.serve(settings, environ)
        else:
            raise StartupError(
                f"neither {QUEUE_VARIABLE} nor {ENDPOINT_VARIABLE} is set: RunPod sets them in the workers of an "
                "endpoint. Use WORKER_PLATFORM=none elsewhere"
            )

    def gateway(self, settings: Settings, environ: Mapping[str, str]) -> Settings:
        """Return the settings with RunPod's port, if this is a worker of a load-balancing endpoint."""
        runpod = RunpodSettings.from_env(environ)
        if runpod.has_queue or not runpod.endpoint_id:
            return settings
        return LoadBalancingSettings.from_env(environ).listening(settings)

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
            if not runpod.has_queue and runpod.endpoint_id:
                endpoint = LoadBalancingSettings.from_env(environ)
                return [ok(self.name, f"load-balancing endpoint {runpod.endpoint_id}, port {endpoint.port}")]
            QueueUrls.of(runpod)
        except StartupError as error:
            return [fail(self.name, str(error), "RunPod sets it; use --platform none on this machine")]
        return [
            ok(self.name, f"worker {runpod.pod_id or 'without an id'} of endpoint {runpod.endpoint_id or 'unknown'}")
        ]

    def variables(self) -> Iterable[SettingRow]:
        """Return the variables of RunpodSettings, and those of a load-balancing endpoint."""
        return (*RunpodSettings.table(), *LoadBalancingSettings.table())
