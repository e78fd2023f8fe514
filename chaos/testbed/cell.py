"""One fault, and four ways to ask that all have jobs in flight when it strikes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Protocol

import aiohttp
import orjson

from chaos.clients.client_scenario import ClientScenario, Manner, Route, Work, prefix
from chaos.clients.customer import Customer
from chaos.clients.ledger import JobLedger, LedgerEntry
from chaos.clients.runs import Runs
from chaos.faults import LOOK_S, NODE_S, SILENCE_S, FaultCase
from chaos.testbed.testbed import Testbed
from worker.workflow.prompt import Prompt

Maker = Callable[[int], Prompt]
ENDPOINT = "comfy"
SETTINGS = {
    "WORKER_ENGINE_SILENCE": str(SILENCE_S),
    "WORKER_NODE_SILENCE": str(NODE_S),
    "WORKER_SILENCE": str(LOOK_S),
    "WORKER_ENGINE_START": "30",
    "WORKER_HANGUP_GRACE": "0.3",
}
JOB_S, BLOCKER_S = 0.2, 1.2
ALL_IN_S = 8.0
LEAVE_S = 0.8
IDENTICAL = 5
"""Jobs of each row that have one graph, and so one crash history."""


class CellPlan(Protocol):
    """`jobs` of each way."""

    @property
    def jobs(self) -> int: ...

    def work(self, number: int) -> Prompt: ...


class Way(StrEnum):
    SYNC = "sync"
    ASYNC = "async"
    STREAM = "stream"
    VAST = "through Vast"


ROUTES = {Way.SYNC: Route.SYNC, Way.ASYNC: Route.ASYNC, Way.STREAM: Route.STREAM, Way.VAST: Route.SYNC}


@dataclass(slots=True)
class Cell:
    """What one case came to. Times are seconds: `noticed_s` from the fault, `served_s` from then, or from its end."""

    case: FaultCase
    ledger: JobLedger
    ways: Mapping[Way, Sequence[int]]
    in_flight: Mapping[Way, int] = field(default_factory=dict)
    runs: Mapping[int, int] = field(default_factory=dict)
    completed: Mapping[int, int] = field(default_factory=dict)
    noticed_s: float | None = None
    served_s: float | None = None
    trigger: int | None = None
    """The number of the job that brings the fault about."""
    skipped: str = ""


class CellCast:
    """The customers of one case, and their scenarios: each a job that `work` makes for its number."""

    def __init__(self, case: FaultCase, scene: Testbed, http: aiohttp.ClientSession, work: Maker) -> None:
        self._work = work
        self.ledger = JobLedger()
        self.ways: dict[Way, list[int]] = {way: [] for way in Way}
        self._case = case
        self._numbers = count(1)
        self.trigger: int | None = None
        gateway = Customer(http, scene.worker.url, self.ledger, stubborn=True, headers={})
        envelopes = Envelopes(scene)
        vast = Customer(http, scene.signed_url, self.ledger, stubborn=True, headers={}, wrap=envelopes.wrap)
        self._customers = {way: vast if way is Way.VAST else gateway for way in Way}
        self.playing: list[asyncio.Task[None]] = []

    def ask(
        self, way: Way, nodes: Prompt | None = None, *, counted: bool = True, timeout_s: float | None = None
    ) -> int:
        """Send a job; its number."""
        number = next(self._numbers)
        if counted:
            self.ways[way].append(number)
        key = f"chaos-{number}"
        body = {"workflow": nodes or self._work(number), "id": key}
        body |= {"output_format": "url" if self._case.by_url else "base64"}
        body |= {"timeout_s": timeout_s} if timeout_s else {}
        manner = Manner.LEAVES if self._case.gone else Manner.REPEATS
        scenario = ClientScenario(number, Work.SLOW, ROUTES[way], manner, orjson.dumps(body), key, LEAVE_S)
        self.playing.append(asyncio.create_task(self._customers[way].run(scenario)))
        return number

    def entry(self, number: int) -> LedgerEntry:
        return next(entry for entry in self.ledger.entries if entry.scenario.number == number)

    def in_flight(self) -> dict[Way, int]:
        under_way = {entry.scenario.number for entry in self.ledger.entries if not entry.heard}
        return {way: len(under_way.intersection(numbers)) for way, numbers in self.ways.items()}


class Envelopes:
    """Signs each request anew, as Vast's router does for a client that asks again."""

    def __init__(self, scene: Testbed) -> None:
        url = scene.signed_url
        self._auth = {"cost": 1.0, "endpoint": ENDPOINT, "url": url, "signature": scene.vast.sign(url)}
        self._numbers = count(1)

    def wrap(self, body: bytes) -> bytes:
        number = next(self._numbers)
        return b'{"auth_data": %b, "payload": %b}' % (
            orjson.dumps({**self._auth, "__request_id": str(number), "request_idx": number, "reqnum": number}),
            body,
        )


async def play(case: FaultCase, scene: Testbed, http: aiohttp.ClientSession, plan: CellPlan) -> Cell:
    """All jobs in, the fault, all ends."""
    began = time.time()
    cast = CellCast(case, scene, http, plan.work)
    runs = Runs(http, scene.engine_urls(), every_s=0.2)
    watching = asyncio.create_task(runs.watch())
    blocker = await _triggered(cast, scene, http) if case.trigger else None
    for _ in range(plan.jobs):
        for way in Way:
            cast.ask(way)
    for _ in range(IDENTICAL):
        cast.ask(Way.ASYNC, plan.work(0), counted=False)
    await _all_in(scene, http, cast)
    if blocker is not None:
        while not cast.entry(blocker).heard:
            await asyncio.sleep(0.01)
    cell = Cell(case, cast.ledger, cast.ways, cast.in_flight(), trigger=cast.trigger)
    await runs.read()
    struck, struck_at = time.time(), time.monotonic()
    await case.strike(scene)
    over_at = time.monotonic()
    runs.urls = scene.engine_urls() or runs.urls
    await asyncio.gather(*cast.playing)
    await runs.read()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    cell.runs, cell.completed = runs.numbers, runs.completed
    # A trigger strikes as the blocker ends, a little before its client is told so.
    cell.noticed_s = noticed(scene.worker.child.log, case.sign, began if case.trigger else struck, struck)
    since = over_at if case.outside else struck_at + (cell.noticed_s or 0.0)
    cell.served_s = _served(cast.ledger, since)
    return cell


async def _triggered(cast: CellCast, scene: Testbed, http: aiohttp.ClientSession) -> int:
    """A job that holds the engine until all others are in, and behind it the one that brings the fault about."""
    blocker = cast.ask(Way.ASYNC, pause(0, BLOCKER_S), counted=False)
    await _all_in(scene, http, cast)
    case = cast._case
    cast.trigger = cast.ask(Way.ASYNC, fault(case.trigger), counted=False, timeout_s=case.trigger_timeout_s)
    await _all_in(scene, http, cast)
    return blocker


async def _all_in(scene: Testbed, http: aiohttp.ClientSession, cast: CellCast) -> None:
    """Wait until the worker has accepted what was sent. Raises TimeoutError."""
    async with asyncio.timeout(ALL_IN_S):
        while True:
            async with http.get(f"{scene.worker.url}/health") as answer:
                jobs = (await answer.json())["jobs"]
            if jobs + sum(1 for entry in cast.ledger.entries if entry.heard) >= len(cast.playing):
                return
            await asyncio.sleep(0.02)


def pause(number: int, seconds: float) -> Prompt:
    """A picture after some seconds, in steps."""
    return _picture(number, "EmbeddedSleep", {"image": ["1", 0], "seconds": seconds, "steps": 4})


def fault(spec: str) -> Prompt:
    return _picture(0xFFFFFF, "EmbeddedFault", {"image": ["1", 0], "fault": spec})


def _picture(number: int, class_type: str, inputs: dict[str, object]) -> Prompt:
    made = {"width": 64, "height": 64, "batch_size": 1, "color": number}
    saved = {"images": ["3", 0], "filename_prefix": prefix(number)}
    prompt: Prompt = orjson.loads(
        orjson.dumps(
            {
                "1": {"class_type": "EmptyImage", "inputs": made},
                "3": {"class_type": class_type, "inputs": inputs},
                "2": {"class_type": "SaveImage", "inputs": saved},
            }
        )
    )
    return prompt


def noticed(log: Path, sign: str, since: float, struck: float) -> float | None:
    """Seconds from `struck` (epoch) to the first line with that sign after `since`; None without one."""
    for line in log.read_text("utf-8", errors="replace").splitlines() if sign else ():
        if sign in line:
            at = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007 - the log has local time
            if at >= since - 0.001:
                return max(0.0, at - struck)
    return None


def _served(ledger: JobLedger, since: float) -> float | None:
    ends = [entry.ended_at for entry in ledger.entries if entry.ended_at > since and "success" in entry.heard]
    return min(ends) - since if ends else None
