"""The run of one case of the matrix: jobs of every request method are in flight when the fault occurs."""

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

from chaos.clients.client_scenario import Behavior, ClientScenario, Route, WorkKind, prefix
from chaos.clients.ledger import JobLedger, LedgerEntry
from chaos.clients.run_counter import RunCounter
from chaos.clients.simulated_client import SimulatedClient
from chaos.fault_cases import NODE_S, POLL_INTERVAL_S, SILENCE_S, FaultCase
from chaos.testbed.matrix_testbed import MatrixTestbed
from worker.workflow.prompt import Prompt

PromptFactory = Callable[[int], Prompt]
ENDPOINT = "comfy"
SETTINGS = {
    "WORKER_ENGINE_SILENCE": str(SILENCE_S),
    "WORKER_NODE_SILENCE": str(NODE_S),
    "WORKER_SILENCE": str(POLL_INTERVAL_S),
    "WORKER_ENGINE_START": "30",
    "WORKER_HANGUP_GRACE": "0.3",
}
JOB_S, BLOCKER_S = 0.2, 1.2
ACCEPT_S = 8.0
LEAVE_S = 0.8
IDENTICAL_JOBS = 5
"""Jobs of each case that have the same graph, and so share one crash history."""


class FaultRunPlan(Protocol):
    """How many jobs each request method sends, and the prompt of each job."""

    @property
    def jobs(self) -> int: ...

    def prompt(self, number: int) -> Prompt: ...


class RequestMethod(StrEnum):
    """How a client sends a job and receives its result."""

    SYNC = "sync"
    ASYNC = "async"
    STREAM = "stream"
    VAST = "through Vast"


ROUTES = {
    RequestMethod.SYNC: Route.SYNC,
    RequestMethod.ASYNC: Route.ASYNC,
    RequestMethod.STREAM: Route.STREAM,
    RequestMethod.VAST: Route.SYNC,
}


@dataclass(slots=True)
class FaultResult:
    """The result of one case."""

    case: FaultCase
    ledger: JobLedger
    numbers: Mapping[RequestMethod, Sequence[int]]
    """Numbers of the jobs, by request method."""
    in_flight: Mapping[RequestMethod, int] = field(default_factory=dict)
    runs: Mapping[int, int] = field(default_factory=dict)
    completed: Mapping[int, int] = field(default_factory=dict)
    noticed_s: float | None = None
    """Seconds from the fault to the worker's log message."""
    served_s: float | None = None
    """Seconds from then, or from the end of the repair, to the next successful job."""
    trigger: int | None = None
    """Number of the job that causes the fault."""
    skipped: str = ""
    """The reason why the case was not run."""


class FaultClients:
    """The clients of one case, each of which sends one job that `prompt` returns for its number."""

    def __init__(
        self, case: FaultCase, testbed: MatrixTestbed, http: aiohttp.ClientSession, prompt: PromptFactory
    ) -> None:
        self._prompt = prompt
        self.ledger = JobLedger()
        self.numbers: dict[RequestMethod, list[int]] = {method: [] for method in RequestMethod}
        self._case = case
        self._next_number = count(1)
        self.trigger: int | None = None
        gateway = SimulatedClient(http, testbed.worker.url, self.ledger, retries=True, headers={})
        signer = RequestSigner(testbed)
        vast = SimulatedClient(http, testbed.signed_url, self.ledger, retries=True, headers={}, wrap=signer.wrap)
        self._clients = {method: vast if method is RequestMethod.VAST else gateway for method in RequestMethod}
        self.tasks: list[asyncio.Task[None]] = []

    def send_job(
        self,
        method: RequestMethod,
        prompt: Prompt | None = None,
        *,
        counted: bool = True,
        timeout_s: float | None = None,
    ) -> int:
        """Send a job in a task and return its number. A job that is not `counted` is left out of `numbers`."""
        number = next(self._next_number)
        if counted:
            self.numbers[method].append(number)
        key = f"chaos-{number}"
        body = {"workflow": prompt or self._prompt(number), "id": key}
        body |= {"output_format": "url" if self._case.by_url else "base64"}
        body |= {"timeout_s": timeout_s} if timeout_s else {}
        behavior = Behavior.LEAVES if self._case.clients_leave else Behavior.REPEATS
        scenario = ClientScenario(number, WorkKind.SLOW, ROUTES[method], behavior, orjson.dumps(body), key, LEAVE_S)
        self.tasks.append(asyncio.create_task(self._clients[method].run(scenario)))
        return number

    def entry(self, number: int) -> LedgerEntry:
        """Return the ledger's entry of a job."""
        return next(entry for entry in self.ledger.entries if entry.scenario.number == number)

    def in_flight(self) -> dict[RequestMethod, int]:
        """Return the number of unfinished jobs by request method."""
        unfinished = {entry.scenario.number for entry in self.ledger.entries if not entry.ends}
        return {method: len(unfinished.intersection(numbers)) for method, numbers in self.numbers.items()}


class RequestSigner:
    """Signs every request with a new number, as Vast's router does for a client that retries."""

    def __init__(self, testbed: MatrixTestbed) -> None:
        url = testbed.signed_url
        self._auth = {"cost": 1.0, "endpoint": ENDPOINT, "url": url, "signature": testbed.vast.sign(url)}
        self._next_number = count(1)

    def wrap(self, body: bytes) -> bytes:
        """Return the body as the payload of a signed request."""
        number = next(self._next_number)
        return b'{"auth_data": %b, "payload": %b}' % (
            orjson.dumps({**self._auth, "__request_id": str(number), "request_idx": number, "reqnum": number}),
            body,
        )


async def run_fault_case(
    case: FaultCase, testbed: MatrixTestbed, http: aiohttp.ClientSession, plan: FaultRunPlan
) -> FaultResult:
    """Send all jobs, cause the fault, wait for the end of all jobs, and return the result."""
    started = time.time()
    clients = FaultClients(case, testbed, http, plan.prompt)
    runs = RunCounter(http, testbed.engine_urls(), every_s=0.2)
    watching = asyncio.create_task(runs.run())
    blocker = await _send_trigger(case, clients, testbed, http) if case.trigger else None
    for _ in range(plan.jobs):
        for method in RequestMethod:
            clients.send_job(method)
    for _ in range(IDENTICAL_JOBS):
        clients.send_job(RequestMethod.ASYNC, plan.prompt(0), counted=False)
    await _wait_until_accepted(testbed, http, clients)
    if blocker is not None:
        while not clients.entry(blocker).ends:
            await asyncio.sleep(0.01)
    result = FaultResult(case, clients.ledger, clients.numbers, clients.in_flight(), trigger=clients.trigger)
    await runs.read()
    fault_time, fault_clock = time.time(), time.monotonic()
    await case.action(testbed)
    repaired_clock = time.monotonic()
    runs.urls = testbed.engine_urls() or runs.urls
    await asyncio.gather(*clients.tasks)
    await runs.read()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    result.runs, result.completed = runs.numbers, runs.completed
    # A trigger job causes its fault when the blocker ends, a little before the blocker's client receives the result.
    search_from = started if case.trigger else fault_time
    result.noticed_s = seconds_until_logged(testbed.worker.child.log, case.log_message, search_from, fault_time)
    since = repaired_clock if case.external_repair else fault_clock + (result.noticed_s or 0.0)
    result.served_s = _seconds_until_success(clients.ledger, since)
    return result


async def _send_trigger(
    case: FaultCase, clients: FaultClients, testbed: MatrixTestbed, http: aiohttp.ClientSession
) -> int:
    """Send a job that blocks the engine, then the job that causes the fault behind it. Return the blocker's number."""
    blocker = clients.send_job(RequestMethod.ASYNC, sleep_prompt(0, BLOCKER_S), counted=False)
    await _wait_until_accepted(testbed, http, clients)
    prompt = fault_prompt(case.trigger)
    clients.trigger = clients.send_job(RequestMethod.ASYNC, prompt, counted=False, timeout_s=case.trigger_timeout_s)
    await _wait_until_accepted(testbed, http, clients)
    return blocker


async def _wait_until_accepted(testbed: MatrixTestbed, http: aiohttp.ClientSession, clients: FaultClients) -> None:
    """Wait until the worker has accepted all jobs that were sent. Raises TimeoutError."""
    async with asyncio.timeout(ACCEPT_S):
        while True:
            async with http.get(f"{testbed.worker.url}/health") as response:
                unfinished = (await response.json())["jobs"]
            if unfinished + sum(1 for entry in clients.ledger.entries if entry.ends) >= len(clients.tasks):
                return
            await asyncio.sleep(0.02)


def sleep_prompt(number: int, seconds: float) -> Prompt:
    """Return a prompt that saves an image after some seconds, with progress in four steps."""
    return _image_prompt(number, "EmbeddedSleep", {"image": ["1", 0], "seconds": seconds, "steps": 4})


def fault_prompt(fault: str) -> Prompt:
    """Return a prompt that makes the embedded engine simulate a fault."""
    return _image_prompt(0xFFFFFF, "EmbeddedFault", {"image": ["1", 0], "fault": fault})


def _image_prompt(number: int, class_type: str, inputs: dict[str, object]) -> Prompt:
    """Return a prompt that makes an image, passes it through one node, and saves it."""
    empty_image = {"width": 64, "height": 64, "batch_size": 1, "color": number}
    save_image = {"images": ["3", 0], "filename_prefix": prefix(number)}
    prompt: Prompt = orjson.loads(
        orjson.dumps(
            {
                "1": {"class_type": "EmptyImage", "inputs": empty_image},
                "3": {"class_type": class_type, "inputs": inputs},
                "2": {"class_type": "SaveImage", "inputs": save_image},
            }
        )
    )
    return prompt


def seconds_until_logged(log: Path, message: str, search_from: float, fault_time: float) -> float | None:
    """Return the seconds from the fault to the first log line that contains a message, or None without one.

    Times are epoch seconds. Lines before `search_from` are ignored.
    """
    for line in log.read_text("utf-8", errors="replace").splitlines() if message else ():
        if message in line:
            logged = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007 - local time
            if logged >= search_from - 0.001:
                return max(0.0, logged - fault_time)
    return None


def _seconds_until_success(ledger: JobLedger, since: float) -> float | None:
    """Return the seconds from a monotonic time to the next successful end of a job, or None without one."""
    ended = [entry.ended_at for entry in ledger.entries if entry.ended_at > since and "success" in entry.ends]
    return min(ended) - since if ended else None
