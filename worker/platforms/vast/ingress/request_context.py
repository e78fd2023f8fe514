"""One request on its way through the SDK: what we know of it and the SDK's callbacks are not told."""

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
    """The request, its signed data, and what has become of it.

    `submission` is the parsed request, or the error that parsing it raised. `status` is None until the response exists.
    `job` is the job that was started or found. `goes_on` is True when the response was sent before the job ended.
    """

    request: web.Request
    auth_data: AuthData
    way: GenerateRoute
    submission: Submission | WorkerError
    workload: float
    status: int | None = None
    job: Job | None = None
    goes_on: bool = False

    @property
    def rejected(self) -> bool:
        """There was room when the ingress asked, and there was none any more when the job was to be accepted."""
        return self.status in {429, 503}


class HeaderOnly:
    """A request as the SDK sees it: the envelope is there, and the payload, which the SDK does not need, is empty.

    So the SDK neither parses the body a second time nor holds it. It reads nothing else of a request than `json`.
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
"""Set by the ingress; the SDK handles a request in the task that it came in with, or in a child of that."""
