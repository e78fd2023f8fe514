"""A whole request in the `input` of a queue: the caller gets the HTTP status and the body of its response as one value.

    {"input": {"request": <body of POST /generate/sync>}}   ->   {"status": 200, "body": <body of the response>}

The request can have any dialect, and can be the call of a handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from worker.bodies import ScannedBody
from worker.dialects import RUNPOD, Body, Dialect
from worker.errors import WorkerError
from worker.intake.body_forms import normalize_body
from worker.intake.intake import dialect_of
from worker.intake.response_body import ResponseBody
from worker.intake.submission import Caller
from worker.job import Job

OTHER_FORMS = ("workflow", "class_type", "handler")
"""Fields of an `input` that is a request itself, or a workflow."""
OWN_IDS = ("id", "request_id")
"""Fields with which a client names its job. In a queue, the id is that of the queue."""
OF_THE_WORKER = ("token", "url")
"""Fields of an error for clients that reach the worker, which those of a queue do not."""


async def unwrap_request(body: ScannedBody, caller: Caller) -> Caller | None:
    """Replace an enclosing body by the request in it, and return its caller. Return None for any other body.

    `comfy_org_api_key` beside the request stands for the header of that name. Raises what `normalize_body` does.
    """
    input_field = body.value.get("input") if isinstance(body.value, Mapping) else None
    if not isinstance(input_field, Mapping) or not input_field.keys().isdisjoint(OTHER_FORMS):
        return None
    if not isinstance(input_field.get("request"), dict):
        return None
    key = input_field.get("comfy_org_api_key")
    api_key = SecretStr(key) if isinstance(key, str) and key else caller.api_key
    body.replace_with_item("input")
    body.replace_with_item("request")
    await normalize_body(body)
    _remove_ids(body.value)
    return replace(caller, with_status=True, api_key=api_key)


def enclosed_dialect(body: ScannedBody) -> Dialect:
    """Return the dialect of the responses to a request that was unwrapped. Raises InvalidJson."""
    input_field = body.value.get("input") if isinstance(body.value, Mapping) else None
    is_call = isinstance(input_field, Mapping) and "handler" in input_field
    return RUNPOD if is_call else dialect_of(body.value)


def enclosed_result(job: Job, response: ResponseBody) -> ResponseBody:
    """Return the value for a job that succeeded. The body of a handler is what it has returned."""
    value = response.value["result"] if job.request.handler is not None else response.value
    return ResponseBody({"status": 200, "body": value}, response.files)


def enclosed_failure(status: int, body: Mapping[str, Any]) -> Body:
    """Return the value for a failure, with a text in `error`. The text has the status, in case only the text arrives.

    `body` is that of the response with the error, in any dialect.
    """
    fields = {name: value for name, value in body.items() if name not in OF_THE_WORKER}
    error = body.get("error_info") or body["error"]
    return {"error": f"HTTP {status} {error['code']}: {error['message']}", "status": status, "body": fields}


def enclosed_error(job_id: str, error: WorkerError, dialect: Dialect) -> Body:
    """Return the value for an error in the dialect of the request."""
    return enclosed_failure(error.status, dialect.failed(job_id, error))


def _remove_ids(request: Any) -> None:  # noqa: ANN401 - JSON
    """Remove the client's own id from a request of any dialect."""
    for fields in (request, request.get("input") if isinstance(request, dict) else None):
        if isinstance(fields, dict):
            for name in OWN_IDS:
                if isinstance(fields.get(name), str):
                    del fields[name]
