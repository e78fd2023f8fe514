"""The context of a request while the SDK handles it, for the callbacks that the SDK calls without it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from worker.api.generate import GenerateRoute
from worker.errors import WorkerError
from worker.intake import Submission
from worker.job import Job
from worker.platforms.vast.ingress.signature_check import AuthData


@dataclass(slots=True)
class RequestContext:
    """One request with its signed data, its job and its response.

    `submission` is the parsed request, or the error that parsing it raised. `status` is None until the response exists.
    `job` is the job that was started or found. `goes_on` is True when the response was sent before the job ended.
    """

    request: web.Request
    auth_data: AuthData
    route: GenerateRoute
    submission: Submission | WorkerError
    workload: float
    status: int | None = None
    job: Job | None = None
    goes_on: bool = False

    @property
    def rejected(self) -> bool:
        """Whether the queue was full when the job was accepted, although it had space when the ingress checked."""
        return self.status in {429, 503}


class HeaderOnly:
    """A request as the SDK sees it: with the envelope, and with an empty payload, which the SDK does not need.

    So the SDK neither parses the body again nor keeps it in memory. The SDK only uses `json` of a request.
    """

    def __init__(self, request: web.Request, auth_data: object) -> None:
        self._request = request
        self._envelope = {"auth_data": auth_data, "session_id": None, "payload": {}}

    async def json(self) -> Mapping[str, Any]:
        """Return the envelope."""
        return self._envelope

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a request has
        return getattr(self._request, name)


CONTEXT: ContextVar[RequestContext] = ContextVar("context")
"""The context of the present task. The ingress sets it, and the SDK handles a request in that task or a child of it."""
