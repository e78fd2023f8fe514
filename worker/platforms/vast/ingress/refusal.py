"""An error as a response in the dialect of the request. The SDK itself would send an empty body."""

from __future__ import annotations

from aiohttp import web

from worker.api.services import json_response
from worker.bodies import ScannedBody
from worker.dialects import NATIVE, detect
from worker.errors import WorkerError


def refusal(error: WorkerError, payload: ScannedBody | None = None) -> web.Response:
    """Return a response with the error's status, body and Retry-After. The dialect is detected from `payload`."""
    dialect = NATIVE if payload is None else detect(payload.value)
    headers = {"Retry-After": f"{error.retry_after_s:g}"} if error.retry_after_s else None
    return json_response(dialect.failed(None, error), error.status, headers)
