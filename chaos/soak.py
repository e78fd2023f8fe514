"""Thousands of mixed jobs while the engine dies now and then and its WebSocket breaks: nothing lost, nothing grown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp

from chaos.clients.client_scenario import draw
from chaos.clients.customer import Customer
from chaos.clients.ledger import JobLedger, manners, of_log
from chaos.clients.runs import Runs
from chaos.document import Chapter
from chaos.finding import RunFinding, at_least, fact, none
from chaos.gauge import Gauge
from chaos.testbed.stage import KeptStage, Stage, kept_stage, stage
from chaos.watch import complaints, left_behind

TEXT = """\
`make soak`: clients of every manner against `comfy-worker serve` with four embedded engines of its own, each a process.
They ask in all three dialects, synchronously, asynchronously and by stream, with and without ids and input files, for
small and large pictures, for workflows that are wrong, raise, are slow or too slow; some cancel, some hang up and come
back, some ask twice. Meanwhile one engine after the other is killed with kill -9, and the worker starts it again. Each
job's end is what its client was told; each run is counted from the engines' own histories. Only where an engine was
killed in its life may a job have run twice."""
SOCKETS_TEXT = """\
`python -m chaos sockets`: the same clients, with one engine that somebody else keeps. It is killed and started again,
and its WebSocket is broken off again and again."""
TTL_S = 8.0
SETTINGS = {
    "WORKER_RESULT_TTL": str(TTL_S),
    "WORKER_HANGUP_GRACE": "0.3",
    "WORKER_MAX_QUEUE": "40",
}
CLIENTS = 48


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """`engines`: how many the worker keeps itself; 0 is one that somebody else keeps, whose sockets can be broken."""

    jobs: int
    kills: int
    drops: int
    seed: int
    engines: int = 0

    @property
    def long(self) -> bool:
        """A short run is over before anything is flat."""
        return self.jobs >= SOCKETS.jobs


FULL = SoakPlan(jobs=20_000, kills=20, drops=0, seed=1, engines=4)
SHORT = SoakPlan(jobs=700, kills=4, drops=0, seed=1, engines=4)
SOCKETS = SoakPlan(jobs=5_000, kills=5, drops=60, seed=1)
SOCKETS_SHORT = SoakPlan(jobs=300, kills=1, drops=4, seed=1)


async def soak(plan: SoakPlan, folder: Path) -> Chapter:
    ledger = JobLedger()
    started = time.monotonic()
    async with _scene(plan, folder) as scene, _session() as http:
        runs = Runs(http, scene.engine_urls())
        gauge = Gauge(scene.worker.child.pid)
        trouble = _trouble(plan, scene, ledger, runs)
        background = (gauge.watch(lambda: ledger.ended / plan.jobs), runs.watch(), trouble)
        async with _meanwhile(*background):
            await _clients(plan, Customer(http, scene.worker.url, ledger))
        seconds = time.monotonic() - started
        await runs.read()
        await asyncio.sleep(TTL_S + 2)
        remains = left_behind(scene)
    findings = [
        at_least("jobs", len(ledger.entries), plan.jobs),
        *ledger.findings(runs.numbers),
        *of_log([scene.worker.child.log]),
        *_flat(plan, gauge),
        fact("memory by tenths of the run, MiB", gauge.tenths()),
        none("folders left when every result's life was over", len(remains), remains),
        *complaints(scene.logs),
        fact("engine kills, WebSockets broken", f"{plan.kills}, {plan.drops}"),
        fact("clients", manners(ledger.entries)),
        fact("ends", ", ".join(f"{end} {count:,}" for end, count in sorted(ledger.ends().items()))),
    ]
    title, text = ("Soak", TEXT) if plan.engines else ("Soak, broken sockets", SOCKETS_TEXT)
    facts = [("seconds", f"{seconds:.0f}"), ("jobs a second", f"{plan.jobs / seconds:.0f}"), ("seed", str(plan.seed))]
    return Chapter(title, text, findings, facts=facts)


def _scene(plan: SoakPlan, folder: Path) -> AbstractAsyncContextManager[Stage | KeptStage]:
    return kept_stage(folder, SETTINGS, plan.engines) if plan.engines else stage(folder, SETTINGS)


def _flat(plan: SoakPlan, gauge: Gauge) -> list[RunFinding]:
    found = gauge.findings()
    return found if plan.long else [fact(finding.what, finding.found) for finding in found]


async def _clients(plan: SoakPlan, customer: Customer) -> None:
    """As many as fit the queue and a few more, each with one scenario after the other."""
    random = Random(plan.seed)
    scenarios = iter([draw(number, random) for number in range(1, plan.jobs + 1)])

    async def client() -> None:
        for scenario in scenarios:
            await customer.run(scenario)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())


async def _trouble(plan: SoakPlan, scene: Stage | KeptStage, ledger: JobLedger, runs: Runs) -> None:
    """Spread over the run, in an order drawn beforehand; the last jobs are left in peace."""
    random = Random(plan.seed)
    events = ["kill"] * plan.kills + ["drop"] * plan.drops
    random.shuffle(events)
    for number, event in enumerate(events, 1):
        while ledger.ended < plan.jobs * 0.95 * number / (len(events) + 1):
            await asyncio.sleep(0.05)
        if event == "drop":
            scene.drop_sockets()
            continue
        await runs.read()
        since = time.monotonic() - 1.0  # what ended while its history was read may not be in it
        await scene.kill_engine(number)
        ledger.kills.append((since, time.monotonic()))


@asynccontextmanager
async def _meanwhile(*work: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(one) for one in work]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended: Sequence[object] = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=60)
    )
