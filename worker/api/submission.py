"""From a job request to a job, without HTTP: the way in that the routes and a platform's own queue share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import SystemRandom
from typing import Any

from worker.api.convert import converted
from worker.api.request_body import reachable
from worker.api.services import Services
from worker.dialects import detect
from worker.job import Job, JobRequest
from worker.workflow.prompt import draw_random_integers


async def submit(found: Services, body: Mapping[str, Any], principal: str, repeat_key: str | None = None) -> Job:
    """Start the job that a request body of any dialect asks for, or find the one of the same `repeat_key`.

    The job is its caller's to repeat: it is not written to the journal. Raises WorkerError where it is refused.
    """
    job = detect(body).read(body, found.library)
    job = reachable(found, await converted(found, job))
    asked = replace(job, repeat_key=None if job.key else repeat_key, base_url=found.settings.public_url)
    return await begin(found, asked, principal, collectable=False)


async def begin(found: Services, asked: JobRequest, principal: str, *, collectable: bool) -> Job:
    """Check the prompt and start the job, or find the one that the same request started. Raises WorkerError."""
    if not found.manager.begins(asked, principal):
        return await found.manager.accept(asked, 0.0, principal, collectable=collectable)
    found.manager.admit()
    # Drawn before it is checked, so that what was checked is what runs.
    asked = replace(asked, prompt=draw_random_integers(asked.prompt, SystemRandom()))
    async with found.preflight.admitted(asked.prompt) as units:
        return await found.manager.accept(asked, units, principal, collectable=collectable)
