"""A client of the gateway: asks, waits, cancels, leaves and comes back, and writes down what it hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import orjson

from chaos.clients.client_scenario import ClientScenario, Manner, Route
from chaos.clients.hearing import Body, error_code, error_of, events
from chaos.clients.ledger import JobLedger, LedgerEntry
from chaos.testbed.stage import OPERATOR

FULL = frozenset({429})
AWAY = frozenset({429, 503})
"""Statuses that tell to come back; the second lot where a fault is to be sat out."""
PATIENCE_S = 120.0
LONGEST_PAUSE_S = 1.0
BROKEN = (aiohttp.ClientError, ConnectionError)


@dataclass(slots=True)
class ClientHandle:
    """What a client has in hand of its job: enough to come back for it."""

    job_id: str | None = None
    token: str = ""
    last_event: str = "0"


@dataclass(frozen=True, slots=True)
class Customer:
    """`headers` prove who it is; `wrap` makes of a body what is sent.

    A stubborn one asks again, under its own id, where the connection breaks or an error says that it may.
    """

    http: aiohttp.ClientSession
    url: str
    ledger: JobLedger
    stubborn: bool = False
    headers: dict[str, str] = field(default_factory=lambda: dict(OPERATOR))
    wrap: Callable[[bytes], bytes] = lambda body: body

    async def run(self, scenario: ClientScenario) -> None:
        """To the end of the scenario, which is in the ledger then."""
        entry = self.ledger.open(scenario)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._behave(entry, ClientHandle(scenario.key))
        except (*BROKEN, TimeoutError) as error:
            entry.heard.append(f"broken: {type(error).__name__} {error}"[:120])
        entry.ended_at = time.monotonic()

    async def _behave(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        match entry.scenario.manner:
            case Manner.CANCELS:
                await self._cancelling(entry, handle)
            case Manner.LEAVES:
                await self._leaving(entry, handle)
            case Manner.REPEATS:
                await self._insist(entry, handle)
                await self._insist(entry, ClientHandle(entry.scenario.key))
            case Manner.WAITS:
                await self._insist(entry, handle)

    async def _cancelling(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        asking = asyncio.create_task(self._insist(entry, handle))
        await asyncio.wait({asking}, timeout=entry.scenario.pause_s)
        if handle.job_id and not asking.done():
            async with self.http.delete(f"{self.url}/jobs/{handle.job_id}", headers=self.headers) as answer:
                entry.statuses.append(answer.status)
                # It may have ended meanwhile, or not have been accepted yet; else it has to be cancelled now.
                entry.cancelled = bool((await answer.json()).get("cancelled"))
        await asking

    async def _leaving(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        asking = asyncio.create_task(self._insist(entry, handle))
        await asyncio.wait({asking}, timeout=entry.scenario.pause_s)
        if not asking.done():
            asking.cancel()
            entry.left = True
        with suppress(asyncio.CancelledError):
            await asking
        if entry.left and (handle.token or entry.scenario.key):
            await self._insist(entry, handle)

    async def _insist(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        """Ask, or come back with the ticket where there is one, until there is an end."""
        again = AWAY if self.stubborn else FULL
        while True:
            try:
                after = await (self._come_back(entry, handle) if handle.token else self._ask(entry, handle, again))
            except BROKEN:
                if not self.stubborn or not (handle.token or entry.scenario.key):
                    raise
                after = LONGEST_PAUSE_S / 4
            if after is None:
                return
            entry.refused += 1
            await asyncio.sleep(after)

    async def _ask(self, entry: LedgerEntry, handle: ClientHandle, again: frozenset[int]) -> float | None:
        """After how many seconds to ask again; None at the end."""
        scenario = entry.scenario
        headers = {**self.headers, **scenario.headers}
        async with self.http.post(self.url + scenario.route, data=self.wrap(scenario.body), headers=headers) as answer:
            if answer.status in again:
                return min(LONGEST_PAUSE_S, float(answer.headers.get("Retry-After", "0.3")))
            entry.statuses.append(answer.status)
            if scenario.route is Route.STREAM and answer.status == 200:
                return await self._listen(entry, handle, answer)
            body = orjson.loads(await answer.read())
        if answer.status != 202:
            return self._end(entry, handle, body)
        handle.job_id, handle.token = body["id"], body["token"]
        return await self._come_back(entry, handle)

    async def _come_back(self, entry: LedgerEntry, handle: ClientHandle) -> float | None:
        """Hear the job's events out, then ask for its result."""
        job = f"{self.url}/jobs/{handle.job_id}"
        headers = {"Authorization": f"Bearer {handle.token}", "Last-Event-ID": handle.last_event}
        async with self.http.get(f"{job}/events", headers=headers) as stream:
            entry.statuses.append(stream.status)
            async for _, number, _ in events(stream):
                handle.last_event = number
        async with self.http.get(job, headers=headers) as answer:
            entry.statuses.append(answer.status)
            body = orjson.loads(await answer.read())
        if answer.status == 202:  # the stream broke off
            return LONGEST_PAUSE_S / 4
        return self._end(entry, handle, body)

    async def _listen(self, entry: LedgerEntry, handle: ClientHandle, stream: aiohttp.ClientResponse) -> float | None:
        async for name, number, data in events(stream):
            handle.last_event = number
            if name == "accepted":
                handle.job_id, handle.token = data["id"], data["token"]
            if name == "result":
                return self._end(entry, handle, data)
        raise aiohttp.ClientPayloadError("the stream ended before the result")

    def _end(self, entry: LedgerEntry, handle: ClientHandle, body: Body) -> float | None:
        error = error_of(body)
        if self.stubborn and error is not None and error["retryable"]:
            handle.token = ""  # by its id it finds the job again, or the one that takes its place
            return LONGEST_PAUSE_S / 4
        entry.heard.append(error_code(body) or "success")
        return None
