"""Repeats requests to a backend that does not respond, until its jobs count as lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.backoff import Backoff
from worker.errors import BackendRefused, BackendUnreachable, JobLost, SubmissionUncertain
from worker.proxy.dispatch.slot import BackendSlot

T = TypeVar("T")
RETRY = Backoff(0.1, 5.0)
"""Pauses between two requests to a backend that does not respond."""
UNAVAILABLE = 503
"""Status of a worker that starts, drains or restarts."""


async def send(slot: BackendSlot, submit: Callable[[], Awaitable[T]]) -> T:
    """Call a function that submits a job. If the answer is lost, repeat it until the backend answers.

    Raises BackendRefused, BackendUnreachable if the backend did not get the job, and JobLost if that is not certain.
    """

    async def repeat() -> T:
        """Submit the job again. A worker that starts or drains refuses even a job that it has."""
        try:
            return await submit()
        except BackendRefused as error:
            if error.status == UNAVAILABLE and not error.of_job:
                raise SubmissionUncertain(str(error)) from error
            raise

    try:
        result = await submit()
    except SubmissionUncertain as error:
        slot.did_not_respond(str(error))
        if not slot.may_repeat:
            raise JobLost(f"the job may have been accepted, and may not be sent again: {error}") from error
    except BackendUnreachable as error:
        slot.did_not_respond(str(error))
        raise
    else:
        slot.responded()
        return result
    return await insist(slot, repeat)


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
