"""The context of a request while the SDK handles it, for the callbacks that the SDK calls without it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from worker.api.generate import GenerateRoute
from worker.errors import WorkerError
from worker.intake import Submission
from worker.intake.handler_calls import CallSubmission
from worker.job import Job
from worker.platforms.vast.ingress.signature_check import AuthData


@dataclass(slots=True)
class RequestContext:
    """One request with its signed data, its job and its response.

    `submission` is the parsed request, or the error that parsing it raised. `status` is None until the response exists.
    `job` is the job that was started or found. `job_continues` is True when the response was sent before the job ended.
    `arriving` counts the request as load until it is closed, because its job counts.

    The units of a job are those of one request. Others that are equal have a `workload` of 0, and those that arrive
    before the job exists know the one that has the units by `first`.
    """

    request: web.Request
    auth_data: AuthData
    route: GenerateRoute
    submission: Submission | CallSubmission | WorkerError
    workload: float
    status: int | None = None
    job: Job | None = None
    job_continues: bool = False
    arriving: ExitStack = field(default_factory=ExitStack)
    first: RequestContext | None = None
    has_ended: bool = False

    @property
    def has_left(self) -> bool:
        """Whether the client disconnected before it had a response."""
        return self.has_ended and self.status is None

    @property
    def rejected(self) -> bool:
        """Whether the queue was full when the job was submitted, although the ingress had found space before."""
        return self.status in {429, 503}


class HeaderOnly:
    """A request for the SDK, whose `json()` has the signed data and an empty payload.

    The SDK does not need the payload. Without it, the SDK neither parses the body again nor keeps it in memory. All
    other attributes are those of the real request.
    """

    def __init__(self, request: web.Request, auth_data: object) -> None:
        self._request = request
        self._envelope = {"auth_data": auth_data, "session_id": None, "payload": {}}

    async def json(self) -> Mapping[str, Any]:
        """Return the envelope: `auth_data` and an empty payload."""
        return self._envelope

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a request
        return getattr(self._request, name)


CONTEXT: ContextVar[RequestContext] = ContextVar("context")
"""The context of the present task. The ingress sets it, and the SDK handles a request in that task or a child of it."""
