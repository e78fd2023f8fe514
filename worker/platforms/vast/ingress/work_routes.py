"""The routes of Vast's port that start jobs, and what differs between workflows and calls of handlers."""

from __future__ import annotations

from worker.api.generate import GENERATE_ROUTES, GenerateRoute, wait_for_result
from worker.app import App
from worker.intake import Submission
from worker.intake.handler_calls import CallSubmission
from worker.job import Job

SYNC, HANDLERS = "/generate/sync", "/handlers/{name}"
CALL_ROUTE = GenerateRoute(collectable=False, respond=wait_for_result)
WORK_ROUTES = {**GENERATE_ROUTES, HANDLERS: CALL_ROUTE}
"""The SDK counts a call of a handler as a request to `SYNC`, because it has to know each route before the start."""


async def units_of(app: App, submission: Submission | CallSubmission) -> float:
    """Return the units of a request before it has a job."""
    if isinstance(submission, CallSubmission):
        return submission.units
    return await app.intake.workload(submission)


async def accept(app: App, submission: Submission | CallSubmission) -> Job:
    """Start the job of a request. Raises what the intake does."""
    if isinstance(submission, CallSubmission):
        return await app.services.handler_calls.accept(submission)
    return await app.intake.accept(submission)
