"""A simulated client of the gateway: it sends a job, waits, cancels or disconnects, and records the job's ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import orjson

from chaos.clients.client_scenario import Behavior, ClientScenario, Route
from chaos.clients.ledger import JobLedger, LedgerEntry
from chaos.clients.response_reader import Body, error_code, error_of, events
from chaos.testbed.worker_testbeds import OPERATOR

QUEUE_FULL = frozenset({429})
UNAVAILABLE = frozenset({429, 503})
"""Statuses after which a client tries again: the second set is for clients that outlast a fault."""
TIMEOUT_S = 120.0
MAX_PAUSE_S = 1.0
CONNECTION_ERRORS = (aiohttp.ClientError, ConnectionError)


@dataclass(slots=True)
class ClientHandle:
    """What a client knows about its job, so that it can ask for the result."""

    job_id: str | None = None
    token: str = ""
    last_event: str = "0"


@dataclass(frozen=True, slots=True)
class SimulatedClient:
    """A client. `headers` authenticate it, and `wrap` turns a body into the bytes that are sent.

    If `retries` is set, the client sends its request again under the same id after a broken connection or a retryable
    error.
    """

    http: aiohttp.ClientSession
    url: str
    ledger: JobLedger
    retries: bool = False
    headers: dict[str, str] = field(default_factory=lambda: dict(OPERATOR))
    wrap: Callable[[bytes], bytes] = lambda body: body

    async def run(self, scenario: ClientScenario) -> None:
        """Play a scenario to its end and record it in the ledger."""
        entry = self.ledger.open(scenario)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._behave(entry, ClientHandle(scenario.key))
        except (*CONNECTION_ERRORS, TimeoutError) as error:
            entry.ends.append(f"broken: {type(error).__name__} {error}"[:120])
        entry.ended_at = time.monotonic()

    async def _behave(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        """Play the scenario's behavior."""
        match entry.scenario.behavior:
            case Behavior.CANCELS:
                await self._cancel(entry, handle)
            case Behavior.LEAVES:
                await self._leave_and_return(entry, handle)
            case Behavior.REPEATS:
                await self._wait_for_end(entry, handle)
                await self._wait_for_end(entry, ClientHandle(entry.scenario.key))
            case Behavior.WAITS:
                await self._wait_for_end(entry, handle)

    async def _cancel(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        """Send the job, and cancel it after the pause if it is still running."""
        sending = asyncio.create_task(self._wait_for_end(entry, handle))
        await asyncio.wait({sending}, timeout=entry.scenario.pause_s)
        if handle.job_id and not sending.done():
            async with self.http.delete(f"{self.url}/jobs/{handle.job_id}", headers=self.headers) as response:
                entry.statuses.append(response.status)
                # False if the job has ended meanwhile or is not accepted yet. Otherwise it must end as cancelled.
                entry.cancelled = bool((await response.json()).get("cancelled"))
        await sending

    async def _leave_and_return(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        """Send the job, disconnect after the pause, and come back if the client has an id or a token."""
        sending = asyncio.create_task(self._wait_for_end(entry, handle))
        await asyncio.wait({sending}, timeout=entry.scenario.pause_s)
        if not sending.done():
            sending.cancel()
            entry.left = True
        with suppress(asyncio.CancelledError):
            await sending
        if entry.left and (handle.token or entry.scenario.key):
            await self._wait_for_end(entry, handle)

    async def _wait_for_end(self, entry: LedgerEntry, handle: ClientHandle) -> None:
        """Send the job, or ask for its result if it was accepted, until it has an end."""
        retry_statuses = UNAVAILABLE if self.retries else QUEUE_FULL
        while True:
            try:
                if handle.token:
                    pause_s = await self._fetch_result(entry, handle)
                else:
                    pause_s = await self._send(entry, handle, retry_statuses)
            except CONNECTION_ERRORS:
                if not self.retries or not (handle.token or entry.scenario.key):
                    raise
                pause_s = MAX_PAUSE_S / 4
            if pause_s is None:
                return
            entry.retries += 1
            await asyncio.sleep(pause_s)

    async def _send(self, entry: LedgerEntry, handle: ClientHandle, retry_statuses: frozenset[int]) -> float | None:
        """Send the job. Returns the seconds after which to try again, or None when the job has ended."""
        scenario = entry.scenario
        headers = {**self.headers, **scenario.headers}
        url = self.url + scenario.route
        async with self.http.post(url, data=self.wrap(scenario.body), headers=headers) as response:
            if response.status in retry_statuses:
                return min(MAX_PAUSE_S, float(response.headers.get("Retry-After", "0.3")))
            entry.statuses.append(response.status)
            if scenario.route is Route.STREAM and response.status == 200:
                return await self._read_stream(entry, handle, response)
            body = orjson.loads(await response.read())
        if response.status != 202:
            return self._record_end(entry, handle, body)
        handle.job_id, handle.token = body["id"], body["token"]
        return await self._fetch_result(entry, handle)

    async def _fetch_result(self, entry: LedgerEntry, handle: ClientHandle) -> float | None:
        """Read the job's events to their end, then its result. Returns like `_send`."""
        job_url = f"{self.url}/jobs/{handle.job_id}"
        headers = {"Authorization": f"Bearer {handle.token}", "Last-Event-ID": handle.last_event}
        async with self.http.get(f"{job_url}/events", headers=headers) as stream:
            entry.statuses.append(stream.status)
            async for _, event_id, _ in events(stream):
                handle.last_event = event_id
        async with self.http.get(job_url, headers=headers) as response:
            entry.statuses.append(response.status)
            body = orjson.loads(await response.read())
        if response.status == 202:  # the stream broke off before the end
            return MAX_PAUSE_S / 4
        return self._record_end(entry, handle, body)

    async def _read_stream(
        self, entry: LedgerEntry, handle: ClientHandle, stream: aiohttp.ClientResponse
    ) -> float | None:
        """Read the events of a streaming request up to the result. Raises ClientPayloadError without a result."""
        async for name, event_id, data in events(stream):
            handle.last_event = event_id
            if name == "accepted":
                handle.job_id, handle.token = data["id"], data["token"]
            if name == "result":
                return self._record_end(entry, handle, data)
        raise aiohttp.ClientPayloadError("the stream ended before the result")

    def _record_end(self, entry: LedgerEntry, handle: ClientHandle, body: Body) -> float | None:
        """Record the end. Returns a pause if the error is retryable and the client retries."""
        error = error_of(body)
        if self.retries and error is not None and error["retryable"]:
            handle.token = ""  # the request is sent again under its id, which finds the job or creates a new one
            return MAX_PAUSE_S / 4
        entry.ends.append(error_code(body) or "success")
        return None
