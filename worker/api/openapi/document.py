"""The OpenAPI document, built from the request and response models and the docstrings of the handlers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from worker import __version__
from worker.api.openapi.schemas import CONVERTED, REF, SCHEMAS, ref
from worker.api.request_body import API_KEY_HEADER
from worker.dialects import DIALECTS

REQUESTS = [dialect.request_model for dialect in DIALECTS]
RESULTS = [dialect.result_model for dialect in DIALECTS if dialect.result_model]
VALIDATE = {
    "type": "object",
    "description": "This, or any body that `POST /generate` accepts.",
    "required": ["workflow"],
    "properties": {"workflow": {"type": "object"}},
}
CONVERTIBLE = {
    "application/json": {"schema": {"type": "object", "description": "A file of the editor, also wrapped."}},
    **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/webp", "video/mp4")},
}
API_KEY = {
    "name": API_KEY_HEADER,
    "in": "header",
    "description": "Your comfy.org key for partner nodes, if the body has none.",
    "schema": {"type": "string"},
}
METRICS = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")}
FILE_TYPES = ("image/*", "video/*", "audio/*", "model/*", "application/octet-stream")
FILES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES}
FILE_HEADERS = {
    "X-Job-Id": "Id of the job, if the response is a file.",
    "X-Job-Token": "Token for the JSON response and the other files.",
    "X-Job-Outputs": "Number of outputs.",
    "X-Job-Problems": "Number of problems, if there are any. The JSON response lists them.",
    "X-Job-Repairs": "Number of repairs, if there are any. The JSON response lists them.",
    "X-Job-Warnings": "Number of warnings, if there are any. The JSON response lists them.",
    "X-Output-Index": "Index of the output in the body.",
    "Server-Timing": "Milliseconds of each stage and the total.",
}
FILE_INDEX = {
    "name": "output",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Index of the output to send if `Accept` prefers files. The default is the first accepted one.",
}
STRICT = {
    "name": "strict",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "Run the workflow exactly as sent: no repairs, no drawn seeds.",
}
WAIT = {
    "name": "wait",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1000, "maximum": 300_000},
    "description": "Milliseconds after which the response has the id and the status of a job that goes on.",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`wait=25`: wait for the end of the job, at most these seconds. By default, respond at once.",
}
ERRORS = {
    "400": "The request is malformed.",
    "404": "The job does not exist or belongs to another caller.",
    "409": "The id belongs to another request.",
    "413": "The body is too large.",
    "422": "The job failed or cannot run. Do not repeat the request unchanged.",
    "429": "The queue is full. Retry after `Retry-After` seconds.",
    "499": "The job was cancelled.",
    "503": "This worker cannot run the job now. Another one may.",
}
RUNPOD_REQUEST = ref("RunpodRequest")
BODIES: dict[str, dict[str, Any]] = {"/validate": VALIDATE, "/run": RUNPOD_REQUEST, "/runsync": RUNPOD_REQUEST}
PARAMETERS = {
    "POST /convert": [STRICT],
    "POST /validate": [STRICT],
    "POST /runsync": [WAIT],
    "GET /status-sync/{id}": [WAIT],
    "GET /jobs/{id}": [PREFER],
}
RESPONSES = {
    "POST /validate": "Report",
    "DELETE /jobs/{id}": "Cancelled",
    "GET /templates": "TemplateList",
    "GET /templates/{name}": "TemplateDescription",
    **dict.fromkeys(("POST /run", "POST /runsync", "GET /status/{id}", "POST /status/{id}"), "RunpodStatus"),
    "GET /status-sync/{id}": "RunpodStatus",
    **dict.fromkeys(("GET /stream/{id}", "POST /stream/{id}"), "RunpodStream"),
    "POST /purge-queue": "RunpodPurge",
}
"""Schemas of the responses with status 200, by method and path."""
JOB_PATHS = frozenset({"/generate", "/generate/sync", "/generate/stream", "/result/{id}"})
"""Paths whose routes return the result of a job, or start one. `GET /jobs/{id}` does so as well."""


def document(routes: Iterable[web.RouteDef]) -> dict[str, Any]:
    """Return the OpenAPI document for these routes."""
    models = [(model, "validation") for model in REQUESTS] + [(model, "serialization") for model in RESULTS]
    _, schemas = models_json_schema(models, ref_template=REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        first_line = (route.handler.__doc__ or "").strip().partition("\n")[0]
        summary = first_line.partition(": ")[2] or first_line  # the text after "Handle `GET /x`: "
        operation = _operation(route, summary[:1].upper() + summary[1:])
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "comfy-worker", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], **SCHEMAS},
            "securitySchemes": {
                "job": {"type": "http", "scheme": "bearer", "description": "Token of the job."},
                "metrics": {"type": "http", "scheme": "bearer", "description": "WORKER_METRICS_TOKEN."},
            },
        },
    }


def _operation(route: web.RouteDef, summary: str) -> dict[str, Any]:
    """Return the operation object of a route: its summary, parameters, request body, security and responses."""
    path, name = route.path, f"{route.method} {route.path}"
    operation: dict[str, Any] = {"summary": summary, "responses": _responses(path, name)}
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if "id" in names:
        operation["security"] = [{"job": []}]
    if path == "/metrics":
        operation["security"] = [{"metrics": []}, {}]
    if path == "/convert":
        operation["requestBody"] = {"required": True, "content": CONVERTIBLE}
        operation["responses"]["200"] = {
            "description": "The prompt.",
            "content": {"application/json": {"schema": CONVERTED}},
        }
    if path.startswith("/generate"):
        operation["requestBody"] = _request(_one_of(REQUESTS))
        operation["parameters"] = [STRICT, API_KEY, *([FILE_INDEX] if path == "/generate/sync" else [])]
    elif path in BODIES:
        operation["requestBody"] = _request(BODIES[path])
    if name in PARAMETERS:
        operation["parameters"] = [*operation.get("parameters", ()), *PARAMETERS[name]]
    return operation


def _request(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a request body object for JSON with this schema."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _one_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return the schema that matches one of the models."""
    return {"oneOf": [ref(model.__name__) for model in models]}


def _responses(path: str, name: str) -> dict[str, Any]:
    """Return the response objects of a route, by HTTP status or `default`. `name` is its method and path."""
    if path == "/metrics":
        return {"200": {"description": "The metrics.", "content": METRICS}, "default": _body("An error.", "Error")}
    if path not in JOB_PATHS and name != "GET /jobs/{id}":
        success = _body("Success.", RESPONSES[name]) if name in RESPONSES else {"description": "Success."}
        text = "The job is cancelled, but a node still runs."
        stopping = {
            "DELETE /jobs/{id}": {"202": _body(text, "Cancelled")},
            "POST /cancel/{id}": {"202": {"description": text}},
        }
        return {"200": success, **stopping.get(name, {}), "default": _body("An error.", "Error")}
    result: dict[str, Any] = {
        "description": "The result.",
        "content": {"application/json": {"schema": _one_of(RESULTS)}},
    }
    successes = {"200": result, "202": _body("The job was accepted, or has not ended.", "Pending")}
    if path == "/generate/sync":
        result["content"] |= FILES
        result["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in FILE_HEADERS.items()
        }
        successes["406"] = _body("No output has an accepted type.", "Error")
    if path == "/generate":
        del successes["200"]
    if path == "/generate/stream":
        successes = {"200": {"description": "Events: accepted, state, node, step, preview, output, result."}}
    return successes | {status: _body(text, "Error") for status, text in ERRORS.items()}


def _body(text: str, model: str) -> dict[str, Any]:
    """Return a response object for JSON of this model. `text` describes it."""
    return {"description": text, "content": {"application/json": {"schema": ref(model)}}}
