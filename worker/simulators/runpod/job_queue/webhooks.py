"""Delivery of a job's state to the webhook of its request."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from worker.backoff import Backoff
from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.job_queue.records import RunpodJob

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=30)


async def deliver_webhook(session: aiohttp.ClientSession, job: RunpodJob, assumptions: RunpodAssumptions) -> None:
    """POST the state of an ended job to its webhook until a response has status 200, at most `webhook_tries` times."""
    url, form = str(job.extra["webhook"]), job.status_form(shows_worker=assumptions.shows_worker_id)
    pause_s = assumptions.webhook_pause_s
    backoff = Backoff(pause_s, pause_s, factor=1.0, chance=lambda: 1.0)  # RunPod's pauses are all the same
    for attempt in range(1, assumptions.webhook_tries + 1):
        try:
            async with session.post(url, json=form, timeout=TIMEOUT) as response:
                if response.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.debug("webhook of %s: %s", job.id, error)
        if attempt < assumptions.webhook_tries:
            await asyncio.sleep(backoff.pause(attempt))
