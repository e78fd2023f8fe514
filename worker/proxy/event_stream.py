"""The events of a job as its caller sees them: those of the backend that runs it, and the result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import orjson

from worker.backends.base import RemoteEvent, RemoteState
from worker.backoff import Backoff
from worker.errors import BackendError
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.job import Attempt, ProxyJob
from worker.proxy.jobs import ProxyJobs

SPAN = 1_000_000
"""Numbers of events of each attempt to run a job. Event n of attempt k has the number k * SPAN + n."""
OWN = frozenset({"accepted", "result"})
"""Events that the proxy sends itself, because they have the id and the token of the caller's job."""
POLL_S = 1.0
"""Seconds between two questions about a job whose backend has no events."""
RECONNECT = Backoff(0.1, 2.0)
STATE_NUMBERS: Mapping[RemoteState, int] = {state: number for number, state in enumerate(RemoteState, 1)}
STATE_NAMES = {RemoteState.RUNNING: "generating"}
"""Names of states in events, where they differ."""


async def events_of(
    job: ProxyJob, jobs: ProxyJobs, slots: Mapping[str, BackendSlot], after: int, url: str
) -> AsyncIterator[RemoteEvent]:
    """Yield the events of a job with a number above `after`, until it has ended. The data of `result` is empty.

    A backend without events has only the states of the job, which are requested every POLL_S seconds.
    """
    if after < 1:
        yield RemoteEvent(1, "accepted", orjson.dumps({"id": job.id, "token": job.token, "url": url}))
    failures, last = 0, after
    while True:
        is_last_pass = job.ended.is_set()  # set before the events are read, so that none is missed
        attempt, offset = job.attempts[-1] if job.attempts else None, len(job.attempts) * SPAN
        if attempt is not None and attempt.accepted and attempt.backend in slots:
            try:
                async for event in _attempt_events(job, jobs, slots[attempt.backend], attempt, max(0, last - offset)):
                    failures, last = 0, offset + event.number
                    yield RemoteEvent(last, event.name, event.data)
            except BackendError:
                failures += 1
        if is_last_pass:
            break
        waited = job.ended if job.accepted.is_set() else job.accepted
        await _wait(waited, RECONNECT.pause(failures) if failures else RECONNECT.first_s)
    yield RemoteEvent((len(job.attempts) + 1) * SPAN, "result", b"")


async def _attempt_events(
    job: ProxyJob, jobs: ProxyJobs, slot: BackendSlot, attempt: Attempt, after: int
) -> AsyncIterator[RemoteEvent]:
    """Yield the events of one attempt. Raises BackendError."""
    if attempt.reference is None:
        return
    if slot.backend.capabilities.events:
        async for event in slot.backend.events(attempt.reference, after):
            if event.name not in OWN:
                yield event
        await _wait(job.ended, POLL_S)
        return
    while not job.ended.is_set() and attempt.open:
        status = await jobs.status(job)
        number = STATE_NUMBERS[status.state] if status is not None else 0
        if status is not None and number > after and not status.state.ended:
            after = number
            name = status.progress.get("state") or STATE_NAMES.get(status.state, status.state.value)
            yield RemoteEvent(number, "state", orjson.dumps({"state": name}))
        await _wait(job.ended, POLL_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event, at most for a time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
