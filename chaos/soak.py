"""The soak run: thousands of mixed jobs while engines are killed and WebSockets break. No job may be lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from chaos.clients.client_scenario import draw_scenario
from chaos.clients.ledger import JobLedger, behavior_counts, log_findings
from chaos.clients.run_counter import RunCounter
from chaos.clients.simulated_client import SimulatedClient
from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.log_checks import leftover_job_folders, unhandled_exceptions
from chaos.reliability_page import Chapter
from chaos.resource_monitor import ResourceMonitor
from chaos.testbed.worker_testbeds import (
    ExternalEngineTestbed,
    ManagedEngineTestbed,
    external_engine_testbed,
    managed_engine_testbed,
)

TEXT = """\
`make soak` runs clients of every behavior against `comfy-worker serve` with four embedded engines of its own, each a
process. The clients use all three dialects; they send synchronous, asynchronous and streaming requests, with and
without ids and input files, for small and large images and for workflows that are invalid, raise an error, are slow
or exceed their time. Some clients cancel, some disconnect and come back, and some send the same request twice.
Meanwhile one engine after another is killed with kill -9, and the worker starts it again. The end of a job is what
its client received, and runs are counted from the engines' own histories. A job may run twice only if an engine was
killed during its life."""
SOCKETS_TEXT = """\
`python -m chaos sockets` runs the same clients with one external engine. The engine is killed and started again, and
its WebSocket is broken repeatedly."""
TTL_S = 8.0
SETTINGS = {
    "WORKER_RESULT_TTL": str(TTL_S),
    "WORKER_HANGUP_GRACE": "0.3",
    "WORKER_MAX_QUEUE": "40",
}
CLIENTS = 48
"""Clients at a time: as many as the queue holds, and a few more."""


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """The numbers of jobs and faults. `engines` is the number of engines that the worker manages.

    0 engines mean one external engine, whose WebSocket can be broken.
    """

    jobs: int
    kills: int
    drops: int
    seed: int
    engines: int = 0

    @property
    def is_long(self) -> bool:
        """Whether the run is long enough to measure growth of memory and open files."""
        return self.jobs >= SOCKETS.jobs


FULL = SoakPlan(jobs=20_000, kills=20, drops=0, seed=1, engines=4)
SHORT = SoakPlan(jobs=700, kills=4, drops=0, seed=1, engines=4)
SOCKETS = SoakPlan(jobs=5_000, kills=5, drops=60, seed=1)
SOCKETS_SHORT = SoakPlan(jobs=300, kills=1, drops=4, seed=1)


async def soak(plan: SoakPlan, folder: Path) -> Chapter:
    """Run all jobs and return the chapter."""
    ledger = JobLedger()
    started = time.monotonic()
    async with _testbed(plan, folder) as testbed, _session() as http:
        runs = RunCounter(http, testbed.engine_urls())
        monitor = ResourceMonitor(testbed.worker.child.pid)
        faults = _cause_faults(plan, testbed, ledger, runs)
        async with _in_background(monitor.run(lambda: ledger.ended / plan.jobs), runs.run(), faults):
            await _run_clients(plan, SimulatedClient(http, testbed.worker.url, ledger))
        seconds = time.monotonic() - started
        await runs.read()
        await asyncio.sleep(TTL_S + 2)
        leftovers = leftover_job_folders(testbed)
    findings = [
        at_least("jobs", len(ledger.entries), plan.jobs),
        *ledger.findings(runs.numbers),
        *log_findings([testbed.worker.child.log]),
        *_growth_findings(plan, monitor),
        fact("memory by tenths of the run, MiB", monitor.tenths()),
        expect_none("job folders left after all results expired", len(leftovers), leftovers),
        *unhandled_exceptions(testbed.logs),
        fact("engine kills, WebSockets broken", f"{plan.kills}, {plan.drops}"),
        fact("clients", behavior_counts(ledger.entries)),
        fact("ends", ", ".join(f"{end} {count:,}" for end, count in sorted(ledger.end_counts().items()))),
    ]
    title, text = ("Soak", TEXT) if plan.engines else ("Soak, broken sockets", SOCKETS_TEXT)
    facts = [("seconds", f"{seconds:.0f}"), ("jobs per second", f"{plan.jobs / seconds:.0f}"), ("seed", str(plan.seed))]
    return Chapter(title, text, findings, facts=facts)


def _testbed(plan: SoakPlan, folder: Path) -> AbstractAsyncContextManager[ExternalEngineTestbed | ManagedEngineTestbed]:
    """Return the testbed of the plan."""
    if plan.engines:
        return managed_engine_testbed(folder, SETTINGS, plan.engines)
    return external_engine_testbed(folder, SETTINGS)


def _growth_findings(plan: SoakPlan, monitor: ResourceMonitor) -> list[RunFinding]:
    """Return the findings about growth. Those of a short run have no target."""
    findings = monitor.findings()
    return findings if plan.is_long else [fact(finding.name, finding.value) for finding in findings]


async def _run_clients(plan: SoakPlan, client: SimulatedClient) -> None:
    """Run all scenarios, CLIENTS at a time."""
    random = Random(plan.seed)
    scenarios = iter([draw_scenario(number, random) for number in range(1, plan.jobs + 1)])

    async def run_scenarios() -> None:
        """Run scenarios until none is left."""
        for scenario in scenarios:
            await client.run(scenario)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(run_scenarios())


async def _cause_faults(
    plan: SoakPlan, testbed: ExternalEngineTestbed | ManagedEngineTestbed, ledger: JobLedger, runs: RunCounter
) -> None:
    """Kill engines and break WebSockets in a random order, spread over the first 95 % of the jobs."""
    random = Random(plan.seed)
    events = ["kill"] * plan.kills + ["drop"] * plan.drops
    random.shuffle(events)
    for number, event in enumerate(events, 1):
        while ledger.ended < plan.jobs * 0.95 * number / (len(events) + 1):
            await asyncio.sleep(0.05)
        if event == "drop":
            testbed.drop_websockets()
            continue
        await runs.read()
        since = time.monotonic() - 1.0  # a run that ended while the history was read may be missing from it
        await testbed.kill_engine(number)
        ledger.kills.append((since, time.monotonic()))


@asynccontextmanager
async def _in_background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines during the context and cancel them at its end. Raises the first error of one of them."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results: Sequence[object] = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def _session() -> aiohttp.ClientSession:
    """Return an HTTP session without a limit of connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=60)
    )
