"""A client of the gateway: asks, waits, cancels, leaves and comes back, and writes down what it hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import orjson

from chaos.errand import Errand, Manner, Route
from chaos.hearing import Body, error_code, error_of, events
from chaos.ledger import Entry, Ledger
from chaos.stage import OPERATOR

FULL = frozenset({429})
AWAY = frozenset({429, 503})
"""Statuses that tell to come back; the second lot where a fault is to be sat out."""
PATIENCE_S = 120.0
LONGEST_PAUSE_S = 1.0
BROKEN = (aiohttp.ClientError, ConnectionError)


@dataclass(slots=True)
class Ticket:
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
    ledger: Ledger
    stubborn: bool = False
    headers: dict[str, str] = field(default_factory=lambda: dict(OPERATOR))
    wrap: Callable[[bytes], bytes] = lambda body: body

    async def run(self, errand: Errand) -> None:
        """To the end of the errand, which is in the ledger then."""
        entry = self.ledger.open(errand)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._behave(entry, Ticket(errand.key))
        except (*BROKEN, TimeoutError) as error:
            entry.heard.append(f"broken: {type(error).__name__} {error}"[:120])
        entry.ended_at = time.monotonic()

    async def _behave(self, entry: Entry, ticket: Ticket) -> None:
        match entry.errand.manner:
            case Manner.CANCELS:
                await self._cancelling(entry, ticket)
            case Manner.LEAVES:
                await self._leaving(entry, ticket)
            case Manner.REPEATS:
                await self._insist(entry, ticket)
                await self._insist(entry, Ticket(entry.errand.key))
            case Manner.WAITS:
                await self._insist(entry, ticket)

    async def _cancelling(self, entry: Entry, ticket: Ticket) -> None:
        asking = asyncio.create_task(self._insist(entry, ticket))
        await asyncio.wait({asking}, timeout=entry.errand.pause_s)
        if ticket.job_id and not asking.done():
            async with self.http.delete(f"{self.url}/jobs/{ticket.job_id}", headers=self.headers) as answer:
                entry.statuses.append(answer.status)
                # It may have ended meanwhile, or not have been accepted yet; else it has to be cancelled now.
                entry.cancelled = bool((await answer.json()).get("cancelled"))
        await asking

    async def _leaving(self, entry: Entry, ticket: Ticket) -> None:
        asking = asyncio.create_task(self._insist(entry, ticket))
        await asyncio.wait({asking}, timeout=entry.errand.pause_s)
        if not asking.done():
            asking.cancel()
            entry.left = True
        with suppress(asyncio.CancelledError):
            await asking
        if entry.left and (ticket.token or entry.errand.key):
            await self._insist(entry, ticket)

    async def _insist(self, entry: Entry, ticket: Ticket) -> None:
        """Ask, or come back with the ticket where there is one, until there is an end."""
        again = AWAY if self.stubborn else FULL
        while True:
            try:
                after = await (self._come_back(entry, ticket) if ticket.token else self._ask(entry, ticket, again))
            except BROKEN:
                if not self.stubborn or not (ticket.token or entry.errand.key):
                    raise
                after = LONGEST_PAUSE_S / 4
            if after is None:
                return
            entry.refused += 1
            await asyncio.sleep(after)

    async def _ask(self, entry: Entry, ticket: Ticket, again: frozenset[int]) -> float | None:
        """After how many seconds to ask again; None at the end."""
        errand = entry.errand
        headers = {**self.headers, **errand.headers}
        async with self.http.post(self.url + errand.route, data=self.wrap(errand.body), headers=headers) as answer:
            if answer.status in again:
                return min(LONGEST_PAUSE_S, float(answer.headers.get("Retry-After", "0.3")))
            entry.statuses.append(answer.status)
            if errand.route is Route.STREAM and answer.status == 200:
                return await self._listen(entry, ticket, answer)
            body = orjson.loads(await answer.read())
        if answer.status != 202:
            return self._end(entry, ticket, body)
        ticket.job_id, ticket.token = body["id"], body["token"]
        return await self._come_back(entry, ticket)

    async def _come_back(self, entry: Entry, ticket: Ticket) -> float | None:
        """Hear the job's events out, then ask for its result."""
        job = f"{self.url}/jobs/{ticket.job_id}"
        headers = {"Authorization": f"Bearer {ticket.token}", "Last-Event-ID": ticket.last_event}
        async with self.http.get(f"{job}/events", headers=headers) as stream:
            entry.statuses.append(stream.status)
            async for _, number, _ in events(stream):
                ticket.last_event = number
        async with self.http.get(job, headers=headers) as answer:
            entry.statuses.append(answer.status)
            body = orjson.loads(await answer.read())
        if answer.status == 202:  # the stream broke off
            return LONGEST_PAUSE_S / 4
        return self._end(entry, ticket, body)

    async def _listen(self, entry: Entry, ticket: Ticket, stream: aiohttp.ClientResponse) -> float | None:
        async for name, number, data in events(stream):
            ticket.last_event = number
            if name == "accepted":
                ticket.job_id, ticket.token = data["id"], data["token"]
            if name == "result":
                return self._end(entry, ticket, data)
        raise aiohttp.ClientPayloadError("the stream ended before the result")

    def _end(self, entry: Entry, ticket: Ticket, body: Body) -> float | None:
        error = error_of(body)
        if self.stubborn and error is not None and error["retryable"]:
            ticket.token = ""  # by its id it finds the job again, or the one that takes its place
            return LONGEST_PAUSE_S / 4
        entry.heard.append(error_code(body) or "success")
        return None
