"""Plays a trace: a fleet of worker processes, the router, Vast's own client, and an autoscaler's policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vastai.serverless.client.client import Serverless

from worker.fleet.simulation.policy import FleetView, ScalingPolicy
from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.client import VastEndpoint
from worker.simulators.vast_fleet.job_prompt import job_prompt
from worker.simulators.vast_fleet.job_sender import POLL_S, JobSender
from worker.simulators.vast_fleet.played_fleet import start_played_fleet
from worker.simulators.vast_fleet.played_job import PlayedJob
from worker.simulators.vast_fleet.played_worker import PlayedWorker, WorkerHost
from worker.simulators.vast_fleet.replay_setup import ReplaySetup
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router import RouterFaultConfig, serve

HOLD_S = 8.0
"""Real seconds for which the router holds a request. Vast's client gives up after ten."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    played: Sequence[PlayedJob]
    failures: Sequence[str]
    views: Sequence[FleetView]
    workers: Sequence[PlayedWorker]


async def replay(jobs: Sequence[TraceJob], setup: ReplaySetup, policy: ScalingPolicy, folder: Path) -> ReplayResult:
    config = RouterFaultConfig(hold_s=HOLD_S, max_queue_time_s=setup.max_queue_time_s / setup.speed)
    prompts = await asyncio.to_thread(_prompts, jobs, setup)
    async with serve(fault_config=config) as vast:
        host = WorkerHost(vast, setup.worker_env(folder, jobs[0].kind), folder)
        client = Serverless(
            api_key=vast.api_key, autoscaler_url=vast.url, webserver_url=vast.url, max_poll_interval=POLL_S
        )
        client.SSL_CERT_URL = f"{vast.url}/root.pem"
        async with start_played_fleet(host, setup) as fleet, client:
            endpoint = VastEndpoint(client, await client.get_endpoint(vast.endpoint))
            fleet.begin()
            sender = JobSender(endpoint, vast.router.fleet, fleet.clock, setup.gpu_speed)
            follows = asyncio.create_task(fleet.follow(policy))
            try:
                await sender.send_all(jobs, prompts)
            finally:
                follows.cancel()
    return ReplayResult(sender.played, sender.failures, fleet.views, fleet.workers)


def _prompts(jobs: Sequence[TraceJob], setup: ReplaySetup):
    return [job_prompt(j.units, j.seconds / setup.gpu_speed, j.kind, n) for n, j in enumerate(jobs, 1)]
