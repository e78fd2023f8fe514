"""The routes of Vast's port that start jobs, and what differs between workflows and calls of handlers."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from worker.api.errors import DIALECT
from worker.api.generate import GENERATE_ROUTES, GenerateRoute, wait_for_result
from worker.app import App
from worker.bodies import ScannedBody
from worker.dialects import RUNPOD
from worker.intake import Caller, Submission, normalize_body
from worker.intake.body_forms import handler_call_in
from worker.intake.handler_calls import CallSubmission
from worker.intake.intake import dialect_of
from worker.job import Job

SYNC, HANDLERS = "/generate/sync", "/handlers/{name}"
CALL_ROUTE = GenerateRoute(collectable=False, respond=wait_for_result)
WORK_ROUTES = {**GENERATE_ROUTES, HANDLERS: CALL_ROUTE}
"""The SDK counts a call of a handler as a request to `SYNC`, because it has to know each route before the start."""


async def read_work(
    app: App, request: web.Request, route: GenerateRoute, payload: ScannedBody, caller: Caller
) -> Submission | CallSubmission:
    """Return the request in a payload, as the intake reads it. Raises the error of an invalid request.

    As on the gateway, `{"input": {"handler": NAME, ...}}` is the call of a handler on every route.
    """
    if route is CALL_ROUTE:
        return await app.services.handler_calls.read(request.match_info["name"], payload, caller)
    await normalize_body(payload)
    if (call := handler_call_in(payload)) is not None:
        request[DIALECT] = RUNPOD
        return await app.services.handler_calls.read_input(*call, caller)
    request[DIALECT] = dialect_of(payload.value)
    return await app.intake.read(payload, replace(caller, follows=route.follows))


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
