"""The jobs in the answer to a take."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.bodies import ScannedBody
from worker.errors import WorkerError

log = logging.getLogger(__name__)

PASSED_ON = ("input", "s3Config")
"""Fields of a taken job that are part of the request. RunPod itself sends the `webhook` beside them."""
FIRST_ID = re.compile(rb'\s*\[?\s*\{\s*"id"\s*:\s*"([\w.:@+-]{1,128})"', re.ASCII)
"""Matches the id at the beginning of a job that cannot be read."""


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job that RunPod has given to this worker.

    `request` is `{"input": ..., "s3Config": ...}` with its long strings, or the error for a job that cannot be read.
    """

    id: str
    request: ScannedBody | WorkerError


def taken_jobs(answer: ScannedBody) -> list[TakenJob]:
    """Return the jobs in the answer to a take or to a batch take.

    An item without an id is logged and left out (R17), because no result could ever be sent for it.
    """
    jobs = []
    for body in _items(answer):
        job_id = body.value.get("id") if isinstance(body.value, dict) else None
        if not isinstance(job_id, str) or not job_id:
            log.error("RunPod sent a job without an id, which cannot be run: no result could be sent for it")
            continue
        body.value = {name: body.value[name] for name in PASSED_ON if body.value.get(name) is not None}
        body.spooled = [text for text in body.spooled if text.location[0] in body.value]
        jobs.append(TakenJob(job_id, body))
    return jobs


def unreadable_job(answer: bytes, error: WorkerError) -> list[TakenJob]:
    """Return the job of an answer that cannot be read, with the error. Raises the error if the id is not found.

    The job gets the error as its result. Otherwise it would stay in progress until its timeout.
    """
    found = FIRST_ID.match(answer)
    if found is None:
        raise error
    return [TakenJob(found[1].decode(), error)]


def _items(answer: ScannedBody) -> Iterator[ScannedBody]:
    """Yield each job of an answer as a body of its own."""
    if not isinstance(answer.value, list):
        yield answer
        return
    for index in range(len(answer.value)):
        yield answer.sub_body(index)
