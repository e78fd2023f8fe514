"""Repeats requests to a backend that does not respond, until its jobs count as lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.backoff import Backoff
from worker.errors import BackendUnreachable, JobLost, SubmissionUncertain
from worker.proxy.dispatch.slot import BackendSlot

T = TypeVar("T")
RETRY = Backoff(0.1, 5.0)
"""Pauses between two requests to a backend that does not respond."""


async def send(slot: BackendSlot, submit: Callable[[], Awaitable[T]]) -> T:
    """Call a function that submits a job. If the answer is lost, repeat it until the backend answers.

    Raises BackendUnreachable if the backend did not get the job.
    """
    try:
        result = await submit()
    except SubmissionUncertain as error:
        slot.did_not_respond(str(error))
    except BackendUnreachable as error:
        slot.did_not_respond(str(error))
        raise
    else:
        slot.responded()
        return result
    return await insist(slot, submit)


async def insist(slot: BackendSlot, call: Callable[[], Awaitable[T]]) -> T:
    """Call a function until the backend responds. Raises JobLost if it does not for `lost_after_s` seconds."""
    for failures in itertools.count(1):
        started = asyncio.get_running_loop().time()
        try:
            result = await call()
        except (BackendUnreachable, SubmissionUncertain) as error:
            if asyncio.get_running_loop().time() - started > slot.lost_after_s:
                slot.responded()  # it kept the connection open until now
            if slot.did_not_respond(str(error)) > slot.lost_after_s:
                raise JobLost(f"it has not responded for {slot.lost_after_s:g} s: {error}") from error
        else:
            slot.responded()
            return result
        await asyncio.sleep(RETRY.pause(failures))
    raise AssertionError("unreachable")
