"""The heartbeat of a worker that cannot serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from worker.backoff import Backoff
from worker.errors import StartupError
from worker.platforms.runpod.queue.queue_client import NO_ANSWER, QueueClient
from worker.platforms.runpod.settings import RunpodSettings

log = logging.getLogger(__name__)

CHECK = "comfy-worker"
"""Name of the failed check."""
TRIES, AGAIN = 3, Backoff(0.5, 2.0)


async def send_failure_ping(message: str, environ: Mapping[str, str]) -> None:
    """Report the worker as unhealthy, with the reason. Never raises, because the caller is handling an error already.

    Without the variables of a queue nothing is sent.
    """

    try:
        async with QueueClient.of(RunpodSettings.from_env(environ)) as client:
            if not client.urls.heartbeat:
                return
            for failures in range(1, TRIES + 1):
                try:
                    if (await client.report_unhealthy(CHECK, message)).accepted:
                        return
                except NO_ANSWER as error:
                    log.warning("the failure was not reported: %s", type(error).__name__)
                await asyncio.sleep(AGAIN.pause(failures) if failures < TRIES else 0)
    except StartupError as error:
        log.warning("the failure is not reported: %s", error)
